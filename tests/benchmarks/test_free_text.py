"""The questions of `benchmarks.free_text`: what is asked with was taken out, and who finds the item by hand is counted."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from benchmarks.asking.catalogues import Catalogue
from benchmarks.free_text import SETS, bm25_scores, by_sentences, by_words, drawn, found_Q, halved, halves, standard, words
from benchmarks.knowledge import as_items
from ml.contracts.behaviour import ITEMS, RAW_KNOWLEDGE


def catalogue(texts):
    ids = pa.chunked_array([[f"i{place}" for place in range(len(texts))]])
    items = as_items(ids, pa.chunked_array([["a title"] * len(texts)]), pa.chunked_array([pa.array(texts, pa.string())]))
    return Catalogue("films", ITEMS.conform(items), RAW_KNOWLEDGE.empty(), (), "en")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("One here. Two there!  Three?", ("One here. Two there!", "Three?")),
        ("One. Two. Three. Four.", ("One. Two.", "Three. Four.")),
        ("他来了。她走了！他们呢？", ("他来了。 她走了！", "他们呢？")),
        ("One sentence, 3.5 m long", None),
        ("One. ... ", None),
        ("", None),
    ],
)
def test_descriptions_are_halved_between_sentences(text, parts) -> None:
    assert by_sentences(text) == parts


def test_titles_are_halved_between_words() -> None:
    assert by_words("a b c d e f g h i") == ("a b c d e", "f g h i")
    assert by_words("a b c d e f g") is None


def test_what_is_asked_with_is_nowhere_in_the_catalogue() -> None:
    texts = [f"First {place}. Second secret{place}." for place in range(6)] + ["Single.", None]
    whole = catalogue(texts)
    how = SETS["movielens"][1]
    places = halves(whole, how=how)
    assert sorted(places) == list(range(6))
    made = halved(whole, how=how, places=places[:4])
    assert len(made.labels) == 4
    kept = dict(zip(made.items.column("item_id").to_pylist(), made.items.column("text").to_pylist(), strict=True))
    for label in made.labels:
        (item_id,) = label.item_ids
        place = item_id.removeprefix("i")
        assert label.texts == (f"Second secret{place}.",)
        assert kept[item_id] == f"First {place}."
    asked = {item_id for label in made.labels for item_id in label.item_ids}
    assert {item_id: text for item_id, text in kept.items() if item_id not in asked} == {
        f"i{place}": text for place, text in enumerate(texts) if f"i{place}" not in asked
    }
    assert made.items.drop_columns(["text"]).equals(whole.items.drop_columns(["text"]))
    assert drawn(whole, num_items=3).items.num_rows == 3


class World:
    """Three items; the questions ask for the third and the first."""

    items = replace(catalogue(["wolf and moon", "a wolf", "the quiet sea"])).items
    texts = ("sea, quiet sea", "moon wolf", "unheard of")
    relevant_QI = np.array([[False, False, True], [True, False, False], [False, True, False]])


def test_bm25_ranks_by_words() -> None:
    scores = bm25_scores(World, language="en")
    assert scores.argmax(axis=1).tolist()[:2] == [2, 0]
    assert not scores[2].any()
    assert words("Über 露营帐篷, x_1", language="en") == ["über", "露营帐篷", "x", "1"]
    assert words("露营帐篷很好", language="zh") == ["露营", "帐篷", "很", "好"]


def test_standard_scores() -> None:
    assert standard(np.array([[1.0, 3.0], [5.0, 5.0]])).tolist() == [[-1.0, 1.0], [0.0, 0.0]]


def test_found_is_among_the_first_ten_and_ties_go_by_id() -> None:
    class Many:
        relevant_QI = np.eye(12, dtype=bool)[[9, 10, 0]]

    scores = np.zeros((3, 12))
    scores[2] = np.arange(12)
    assert found_Q(scores, world=Many).tolist() == [1.0, 0.0, 0.0]
