"""Texts become words, cut where a phrase must not cross."""

import numpy as np
import pyarrow as pa
import pytest

from ml.words.tokens import Tokens, can_stand_alone, is_stop_word, tokenise


def runs(tokens: Tokens) -> list[list[str]]:
    """Words of each segment, in order."""
    words = tokens.words.take(pa.array(tokens.word_T)).to_pylist()
    return [[words[at] for at in np.flatnonzero(tokens.segment_T == segment)] for segment in np.unique(tokens.segment_T)]


def test_punctuation_and_text_ends_cut() -> None:
    tokens = tokenise(pa.array(["Red shoes, blue hats!", "Warm wool"]), language="en")
    assert runs(tokens) == [["red", "shoes"], ["blue", "hats"], ["warm", "wool"]]
    assert tokens.text_T.tolist() == [0, 0, 0, 0, 1, 1]


def test_words_keep_inner_signs_and_lose_outer_ones() -> None:
    assert runs(tokenise(pa.array(["'Sci-Fi' C++ -x- men’s don’t"]), language="en")) == [["sci-fi", "c++", "x", "men", "don't"]]


def test_mixed_text_is_cut_by_script() -> None:
    found = runs(tokenise(pa.array(["适合 iPhone 手机壳 with MagSafe"]), language="auto"))
    assert ["iphone"] in found
    assert ["with", "magsafe"] in found
    assert "".join(word for run in found for word in run if word > "\u4e00") == "适合手机壳"


def test_english_catalogues_leave_han_out_and_still_cut_there() -> None:
    assert runs(tokenise(pa.array(["red 登山鞋 shoes"]), language="en")) == [["red"], ["shoes"]]


@pytest.mark.parametrize("texts", [[], [None], [""], ["..."], ["。！", None]])
def test_texts_without_words(texts: list[str | None]) -> None:
    tokens = tokenise(pa.array(texts, pa.string()), language="auto")
    assert len(tokens.word_T) == len(tokens.text_T) == len(tokens.segment_T) == 0


def test_full_width_and_case_are_one_word() -> None:
    tokens = tokenise(pa.array(["ＴＶ tv Tv"]), language="auto")
    assert len(np.unique(tokens.word_T)) == 1


def test_unknown_language_is_named() -> None:
    with pytest.raises(ValueError, match="'fr' is unknown; choose one of en, zh, auto"):
        tokenise(pa.array(["bonjour"]), language="fr")


def test_stop_words_of_both_languages_and_numbers() -> None:
    assert is_stop_word(pa.array(["the", "shoe", "的", "登山鞋", "1999", "3d"])).tolist() == [True, False, True, False, True, False]
    assert can_stand_alone(pa.array(["new", "x", "shoe", "鞋", "香港"])).tolist() == [False, False, True, False, True]
