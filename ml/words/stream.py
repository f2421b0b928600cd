"""Texts as one stream of words for finding names: letter case, sentence starts and quotation marks are kept.

A Han character is a word of its own, so that one search serves both languages. Signs that
part clauses are words too: no name reaches across them. Shapes: P pieces, V distinct words, T words in reading order.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ml.ids import BoolArray, IntArray
from ml.words.texts import whole_texts

# Between words these are read over: "Spider-Man" is "Spider Man", "汤姆·克鲁斯" is "汤姆•克鲁斯".
WORD = r"^[\p{L}\p{M}\p{N}]"
PARTS_CLAUSES = r"^[,!?;()\[\]{}|¶。、，！？；（）【】—–]$"
ENDS_SENTENCE = r"^[.!?:¶。！？：]$"
OPENS_QUOTE = r"""^[《〈「『“"‘']$"""
CLOSES_QUOTE = r"""^[》〉」』”"’']$"""
PART = ","


@dataclass(frozen=True)
class WordStream:
    """Words of all texts in reading order; `keys` are folded spellings, `is_quoted_T` edges of quotations."""

    keys: pa.Array
    key_T: IntArray
    text_T: IntArray
    place_T: IntArray
    is_han_T: BoolArray
    is_capital_T: BoolArray
    starts_sentence_T: BoolArray
    opens_T: BoolArray
    closes_T: BoolArray

    def __len__(self) -> int:
        return len(self.key_T)


def read_stream(texts: pa.Array | pa.ChunkedArray) -> WordStream:
    """The words of each text (nulls are empty): NFKC, lower case, Latin letters without accents."""
    lists = pc.split_pattern_regex(_spaced(texts), pattern=r"\s+")
    pieces = pc.dictionary_encode(pc.list_flatten(lists))
    text_P = np.asarray(pc.list_parent_indices(lists), dtype=np.int64)
    piece_P = np.asarray(pieces.indices, dtype=np.int64)
    filled = np.asarray(pc.not_equal(pieces.dictionary, ""), dtype=np.bool_)[piece_P]
    return _without_signs(pieces.dictionary, piece_P=piece_P[filled], text_P=text_P[filled])


def fold(words: pa.Array) -> pa.Array:
    """Lower case without Latin accents, so that "Amélie" is found as "Amelie"; shape [N]."""
    apart = pc.utf8_normalize(pc.utf8_lower(words), form="NFKD")
    return pc.utf8_normalize(pc.replace_substring_regex(apart, pattern=r"(\p{Latin})\p{Mn}+", replacement=r"\1"), form="NFKC")


def _spaced(texts: pa.Array | pa.ChunkedArray) -> pa.Array:
    text = pc.utf8_normalize(whole_texts(texts), form="NFKC")
    text = pc.replace_substring_regex(text, pattern=r"[\r\n]+", replacement=" ¶ ")
    return pc.replace_substring_regex(text, pattern=r"(\p{Han}|[^\p{L}\p{M}\p{N}\s])", replacement=r" \1 ")


def _without_signs(pieces: pa.Array, *, piece_P: IntArray, text_P: IntArray) -> WordStream:
    def flag(pattern: str) -> BoolArray:
        return np.asarray(pc.match_substring_regex(pieces, pattern), dtype=np.bool_)[piece_P]

    parts_P = flag(PARTS_CLAUSES)
    kept = np.flatnonzero(flag(WORD) | parts_P)
    keys = pc.dictionary_encode(pc.if_else(pc.match_substring_regex(pieces, PARTS_CLAUSES), PART, fold(pieces)))
    text_T = text_P[kept]
    return WordStream(
        keys=keys.dictionary,
        key_T=np.asarray(keys.indices, dtype=np.int64)[piece_P[kept]],
        text_T=text_T,
        place_T=kept,
        is_han_T=flag(r"^\p{Han}$")[kept],
        is_capital_T=flag(r"^(\p{Lu}|\p{N})")[kept],
        starts_sentence_T=_starts(flag(ENDS_SENTENCE), kept=kept, text_T=text_T),
        opens_T=_beside(flag(OPENS_QUOTE), kept=kept, text_P=text_P, step=-1),
        closes_T=_beside(flag(CLOSES_QUOTE), kept=kept, text_P=text_P, step=1),
    )


def _starts(ends_P: BoolArray, *, kept: IntArray, text_T: IntArray) -> BoolArray:
    """Words before which a sentence ended, or their text began."""
    num_ended_P: IntArray = np.cumsum(ends_P).astype(np.int64) - ends_P.astype(np.int64)
    starts: BoolArray = (np.diff(num_ended_P[kept], prepend=0) > 0) | (np.diff(text_T, prepend=-1) != 0)
    return starts


def _beside(flag_P: BoolArray, *, kept: IntArray, text_P: IntArray, step: int) -> BoolArray:
    """Words whose next piece (`step` 1) or the one before (-1) has the flag."""
    beside = np.clip(kept + step, 0, max(len(flag_P) - 1, 0))
    found: BoolArray = flag_P[beside] & (text_P[beside] == text_P[kept]) & (beside != kept)
    return found
