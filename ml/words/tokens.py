"""Texts as one stream of words, cut at punctuation, script changes and text ends.

Han runs are segmented by jieba, everything else splits at spaces. Shapes: N texts,
T tokens in reading order, V distinct words. Phrases are built in `ml.interests.phrases`.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ml.ids import BoolArray, IntArray
from ml.words.chinese import segment_chinese
from ml.words.texts import whole_texts
from ml.words.word_lists import load_words

LANGUAGES = ("en", "zh", "auto")
BREAK = "|"
HAN_RUN = r"(\p{Han}+)"
# What may stand inside a word; every other sign ends the phrase.
OUTSIDE_WORDS = r"[^\p{L}\p{M}\p{N}'&+#\s-]+"


@dataclass(frozen=True)
class Tokens:
    """Words in reading order; two tokens of equal `segment_T` have no break between them."""

    words: pa.Array
    word_T: IntArray
    text_T: IntArray
    segment_T: IntArray


def tokenise(texts: pa.Array | pa.ChunkedArray, *, language: str) -> Tokens:
    """Lower-case NFKC words of each text (nulls are empty).

    The script of each part decides how it is cut, so mixed texts work; only "en"
    leaves Han runs out, since a segmenter for Chinese would make up words there.
    Raises `ValueError` for another language than en, zh, auto.
    """
    if language not in LANGUAGES:
        raise ValueError(f"language {language!r} is unknown; choose one of {', '.join(LANGUAGES)}")
    pieces = pc.split_pattern_regex(_spaced(texts, han=language != "en"), pattern=r"\s+")
    encoded = pc.dictionary_encode(pc.list_flatten(pieces))
    words_of = _words_of_pieces(encoded.dictionary).take(encoded.indices)
    text_T = np.asarray(pc.list_parent_indices(pieces), dtype=np.int64)[np.asarray(pc.list_parent_indices(words_of))]
    return _without_breaks(pc.dictionary_encode(pc.list_flatten(words_of)), text_T=text_T)


def is_stop_word(words: pa.Array) -> BoolArray:
    """Which words may not begin or end a phrase: stop words and those without a letter, shape [V]."""
    listed = pc.is_in(words, value_set=pa.concat_arrays([load_words("stop_en"), load_words("stop_zh")]))
    return np.asarray(pc.or_(listed, pc.invert(pc.match_substring_regex(words, r"\p{L}"))), dtype=np.bool_)


def can_stand_alone(words: pa.Array) -> BoolArray:
    """Which words may be a phrase by themselves: two letters at least, and no mere companion of others ("new"), shape [V]."""
    companion = pc.is_in(words, value_set=load_words("companions_en"))
    return np.asarray(pc.and_not(pc.greater(pc.utf8_length(words), 1), companion), dtype=np.bool_)


def _spaced(texts: pa.Array | pa.ChunkedArray, *, han: bool) -> pa.Array:
    text = pc.utf8_lower(pc.utf8_normalize(whole_texts(texts), form="NFKC"))
    for pattern, replacement in (
        (r"’", "'"),
        (r"'s\b", ""),
        (HAN_RUN, rf" {BREAK} \1 {BREAK} " if han else f" {BREAK} "),
        (OUTSIDE_WORDS, f" {BREAK} "),
    ):
        text = pc.replace_substring_regex(text, pattern=pattern, replacement=replacement)
    return text


def _words_of_pieces(pieces: pa.Array) -> pa.Array:
    """Distinct pieces as lists of words: several for a Han run, one for anything else."""
    trimmed = pc.utf8_trim(pieces, characters="'-&")
    is_han = np.asarray(pc.match_substring_regex(trimmed, rf"^{HAN_RUN}$"), dtype=np.bool_)
    lengths = np.ones(len(pieces), dtype=np.int64)
    segmented = segment_chinese(trimmed.filter(pa.array(is_han)).to_pylist())
    lengths[is_han] = [len(words) for words in segmented]
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    values = np.empty(offsets[-1], dtype=object)
    values[offsets[:-1][~is_han]] = trimmed.filter(pa.array(~is_han)).to_numpy(zero_copy_only=False)
    values[np.repeat(is_han, lengths)] = [word for words in segmented for word in words]
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pa.array(values, pa.string()))


def _without_breaks(encoded: pa.DictionaryArray, *, text_T: IntArray) -> Tokens:
    word_T = np.asarray(encoded.indices, dtype=np.int64)
    is_break = np.asarray(pc.is_in(encoded.dictionary, value_set=pa.array([BREAK, ""])), dtype=np.bool_)[word_T]
    starts_text = np.diff(text_T, prepend=-1) != 0
    segment_T = np.cumsum(is_break | starts_text)
    return Tokens(encoded.dictionary, word_T[~is_break], text_T[~is_break], segment_T[~is_break])
