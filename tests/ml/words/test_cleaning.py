"""Cleaned text is what a reader would see, whatever a page, a keyboard or an attacker put around it."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.words.cleaning import MAX_CHARACTERS, MAX_REPEATED_SIGNS, are_capped, clean_column, clean_texts


def clean(text: str | None) -> str:
    return clean_texts(pa.array([text], pa.string()))[0].as_py()


@pytest.mark.parametrize(
    ("given_text", "expected"),
    [
        ("<p>Hello&nbsp;<b>world</b></p>", "Hello world"),
        ("one<br/>two<LI class='a'>three", "one\ntwo\nthree"),
        ("a<script type='x'>if (a<b) c>d</script>b<!-- <b>no</b> -->c", "a\nb\nc"),
        ("a < b and c > d, I <3 it", "a < b and c > d, I <3 it"),
        ("AT&T &amp; R&amp;D", "AT&T & R&D"),
        ("<!-- never closed", "<!-- never closed"),
        ("ｆｕｌｌ　ｗｉｄｔｈ ①", "full width 1"),
        ("中\u200b文\u202e字\ufeff", "中文字"),
        ("soft\u00adhyphen \x00nul", "softhyphen nul"),
        ("line one\r\n\r\n   line two\t\tend ", "line one\nline two end"),
        ("sooooooooooooooooo good!!!!!!!!!!!!!!!!", "s" + "o" * MAX_REPEATED_SIGNS + " good" + "!" * MAX_REPEATED_SIGNS),
        ("哈" * 30 + "好", "哈" * MAX_REPEATED_SIGNS + "好"),
        ("buy now! " * 40 + "today", "buy now! buy now! buy now! buy now! today"),
        ("好评好评" * 50, "好评" * 4),
        ("👩\u200d🍳 cooks", "👩\u200d🍳 cooks"),
        (None, ""),
        ("", ""),
    ],
)
def test_what_a_reader_would_see(given_text, expected) -> None:
    assert clean(given_text) == expected


def test_prose_and_chinese_stay_as_they_are() -> None:
    days = (f"Day {day} passed like day {day - 1}." for day in range(1, 40))
    prose = "The sea was calm; the boat, an old one, lay still. " + " ".join(days)
    poem = "床前明月光,疑是地上霜。举头望明月,低头思故乡。"
    assert clean_texts(pa.array([prose, poem])).to_pylist() == [prose, poem]


def test_a_dump_is_capped_and_rows_keep_their_places() -> None:
    found = clean_texts(pa.chunked_array([["a b " * 100_000], [None, "x"]], pa.string())).to_pylist()
    assert len(found[0]) < MAX_CHARACTERS
    assert found[1:] == ["", "x"]
    assert clean_texts(pa.array([], pa.string())).to_pylist() == []


@pytest.mark.parametrize("part", ["<", "<!--", "<script>", "</script><script>", "--><!--", "<a ", "&", " \n", "ab", "a ", "&lt;", "<p "])
def test_what_an_attacker_repeats_is_cleaned_too(part) -> None:
    """Each of these made a naive pattern look from every start to the end, which takes minutes."""
    assert len(clean(part * (100_000 // len(part)))) <= MAX_CHARACTERS


@given(st.text(max_size=300))
def test_cleaning_again_changes_only_what_markup_hid(text) -> None:
    once = clean(text)
    if "&" not in text and "<" not in once:
        assert clean(once) == once


def test_markup_that_was_escaped_goes_too() -> None:
    assert clean_texts(pa.array(["&lt;p&gt;Warm &lt;b&gt;hat&lt;/b&gt;&lt;/p&gt;", "5 &lt; 7 &amp; 3"])).to_pylist() == [
        "Warm hat",
        "5 < 7 & 3",
    ]


def test_signs_nobody_sees_go_and_joiners_of_letters_stay() -> None:
    assert clean_texts(pa.array(["wi\u2061n\u180eter\u206a", "می\u200cخواهم"])).to_pylist() == ["winter", "می\u200cخواهم"]


def test_a_column_is_cleaned_in_place_and_nulls_stay() -> None:
    table = pa.table({"id": ["a", "b", "c"], "text": ["<b>wool</b>", None, " "]})
    found = clean_column(table, "text")
    assert found.column_names == ["id", "text"]
    assert found.column("text").to_pylist() == ["wool", None, ""]
    assert clean_column(table.slice(0, 0), "text").num_rows == 0


def test_texts_longer_than_what_is_read_are_told() -> None:
    assert are_capped(pa.array(["short", None, "x" * (MAX_CHARACTERS + 1), "x" * MAX_CHARACTERS])).tolist() == [False, False, True, False]
