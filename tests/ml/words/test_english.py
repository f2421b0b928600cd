"""Plurals fold to the word they are plurals of, and other words stay."""

import pyarrow as pa
import pytest

from ml.words.english import fold_plurals


@pytest.mark.parametrize(
    ("plural", "singular"),
    [
        ("shoes", "shoe"), ("movies", "movie"), ("berries", "berry"), ("boxes", "box"), ("watches", "watch"), ("glasses", "glass"),
        ("heroes", "hero"), ("horses", "horse"), ("vampires", "vampire"), ("toys", "toy"), ("crèmes", "crème"),
    ],
)  # fmt: skip
def test_plural_and_singular_have_one_key(plural: str, singular: str) -> None:
    assert fold_plurals(pa.array([plural, singular])).to_pylist() == [singular, singular]


@pytest.mark.parametrize("word", ["series", "news", "bus", "princess", "analysis", "his", "tvs", "登山鞋", "", "paris", "чаес"])
def test_words_that_are_no_plurals_stay(word: str) -> None:
    assert fold_plurals(pa.array([word])).to_pylist() == [word]


def test_folding_twice_changes_nothing() -> None:
    words = pa.array(["shoes", "movies", "berries", "classes", "watches", "登山", "lens", "ties"])
    once = fold_plurals(words)
    assert fold_plurals(once).equals(once)


def test_no_words() -> None:
    assert fold_plurals(pa.array([], pa.string())).to_pylist() == []
