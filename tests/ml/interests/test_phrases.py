"""Phrases are counted right: checked by hand and against a plain count."""

from collections import Counter

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.interests.phrases import Phrases, find_phrases
from ml.words.tokens import tokenise


def phrases_of(texts: list[str], *, min_texts: int = 1, max_texts: int = 1000, language: str = "auto") -> Phrases:
    return find_phrases(
        tokenise(pa.array(texts, pa.string()), language=language), num_texts=len(texts), min_texts=min_texts, max_texts=max_texts
    )


def counts(phrases: Phrases) -> dict[str, list[int]]:
    dense = phrases.counts_NP.toarray()
    return {key: dense[:, column].astype(int).tolist() for column, key in enumerate(phrases.keys.to_pylist())}


def test_counts_by_hand() -> None:
    found = counts(phrases_of(["trail shoes and trail shoes", "a trail shoe, the lord of rings"], min_texts=1))
    assert found["trail"] == [2, 1]
    assert found["trail shoe"] == [2, 1]
    assert found["lord of ring"] == [0, 1]
    assert "lord of" not in found
    assert "and trail" not in found
    assert "shoe the lord" not in found


def test_too_rare_and_too_common_phrases_are_not_counted() -> None:
    texts = ["warm wool hat", "warm wool sock", "warm felt boot"]
    assert set(counts(phrases_of(texts, min_texts=2, max_texts=2))) == {"wool", "warm wool"}


def test_the_usual_spelling_is_the_name() -> None:
    phrases = phrases_of(["trail shoes", "Trail Shoes", "trail shoe"])
    assert dict(zip(phrases.keys.to_pylist(), phrases.names.to_pylist(), strict=True))["trail shoe"] == "trail shoes"


def test_a_phrase_inside_a_longer_one_is_seen() -> None:
    phrases = phrases_of(["visit new york city", "new york city lights", "york is old"])
    share = dict(zip(phrases.keys.to_pylist(), phrases.contained_share_P.tolist(), strict=True))
    assert share["york city"] == 1.0
    assert share["york"] == 2 / 3
    assert share["new york city"] == 0.0


def test_chinese_words_join_without_space_and_cut_alike_are_one() -> None:
    phrases = phrases_of(["防水登山鞋", "登山鞋很好，登山 鞋"])
    keys = phrases.keys.to_pylist()
    assert "登山鞋" in keys
    assert len(keys) == len(set(keys))
    assert all(" " not in key for key in keys)


def test_no_texts_and_no_words() -> None:
    for texts in ([], ["", "..."]):
        phrases = phrases_of(texts)
        assert phrases.counts_NP.shape == (len(texts), 0)
        assert len(phrases.keys) == len(phrases.names) == len(phrases.contained_share_P) == 0


WORDS = ["ape", "bee", "cow", "dog"]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.sampled_from([*WORDS, "the", ","]), max_size=8), min_size=1, max_size=6), st.integers(1, 3))
def test_counts_equal_a_plain_count(texts: list[list[str]], min_texts: int) -> None:
    expected: Counter[tuple[str, int]] = Counter()
    for row, words in enumerate(texts):
        for run in " ".join(words).split(","):
            run_words = run.split()
            for size in (1, 2, 3):
                for start in range(len(run_words) - size + 1):
                    gram = run_words[start : start + size]
                    if "the" not in (gram[0], gram[-1]):
                        expected[(" ".join(gram), row)] += 1
    frequent = {key for key, number in Counter(key for key, _ in expected).items() if number >= min_texts}
    found = counts(phrases_of([" ".join(words) for words in texts], min_texts=min_texts))
    assert set(found) == frequent
    assert all(found[key][row] == expected[(key, row)] for key in frequent for row in range(len(texts)))


def test_order_of_texts_only_reorders_rows() -> None:
    texts = ["red wool hat", "blue wool hat", "red felt hat", "wool wool hats"]
    order = np.array([2, 0, 3, 1])
    left, right = phrases_of(texts), phrases_of([texts[position] for position in order])
    assert left.keys.equals(right.keys)
    assert left.names.equals(right.names)
    np.testing.assert_array_equal(left.counts_NP.toarray()[order], right.counts_NP.toarray())
