"""Texts as counted grams: words and pairs of words, and runs of one to three characters.

Words are those of `ml.words`, so Chinese is cut by jieba; a gram's name starts with its kind. Shapes: N texts,
T grams in all texts, V distinct grams, C characters.
"""

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ml.ids import IntArray
from ml.words.texts import whole_texts
from ml.words.tokens import tokenise

WORD, CHARACTERS = "w:", "c:"
# Code points are below 2^21, so that three of them fit one integer.
_CODE_BITS = 21


class Grams(NamedTuple):
    """Each gram of each text: the text's row, the gram's position in `names`."""

    text_T: IntArray
    gram_T: IntArray
    names: pa.Array


def word_grams(texts: pa.Array | pa.ChunkedArray, *, language: str) -> Grams:
    """Words, and pairs of words with nothing but space between them."""
    tokens = tokenise(texts, language=language)
    word_T, num_words = tokens.word_T, max(len(tokens.words), 1)
    is_pair = tokens.segment_T[1:] == tokens.segment_T[:-1]
    pairs, pair_of = np.unique(word_T[:-1][is_pair] * num_words + word_T[1:][is_pair], return_inverse=True)
    first, second = (tokens.words.take(pa.array(part)) for part in np.divmod(pairs, num_words))
    names = pa.concat_arrays([tokens.words.cast(pa.string()), pc.binary_join_element_wise(first, second, " ").cast(pa.string())])
    text_T = np.concatenate([tokens.text_T, tokens.text_T[1:][is_pair]])
    return Grams(text_T, np.concatenate([word_T, len(tokens.words) + pair_of]), _named(WORD, names))


def character_grams(texts: pa.Array | pa.ChunkedArray, *, longest: int = 3) -> Grams:
    """Runs of one to `longest` characters, lower case, NFKC, spaces squeezed."""
    codes_C, text_C = _characters(texts)
    found = [_runs(codes_C, text_C, length=length) for length in range(1, longest + 1)]
    offsets = np.cumsum([0, *(len(grams.names) for grams in found)])
    gram_T = np.concatenate([grams.gram_T + offset for grams, offset in zip(found, offsets, strict=False)])
    names = pa.concat_arrays([grams.names for grams in found])
    return Grams(np.concatenate([grams.text_T for grams in found]), gram_T, _named(CHARACTERS, names))


def _characters(texts: pa.Array | pa.ChunkedArray) -> tuple[IntArray, IntArray]:
    """Code points of all texts in a row, and whose they are, both shape [C]."""
    lower = pc.utf8_lower(pc.utf8_normalize(whole_texts(texts), form="NFKC"))
    squeezed = pc.utf8_trim_whitespace(pc.replace_substring_regex(lower, pattern=r"\s+", replacement=" "))
    lengths_N = np.asarray(pc.utf8_length(squeezed), dtype=np.int64)
    joined = "".join(squeezed.to_pylist())
    codes_C = np.frombuffer(joined.encode("utf-32-le"), dtype="<u4").astype(np.int64)
    return codes_C, np.repeat(np.arange(len(lengths_N)), lengths_N)


def _runs(codes_C: IntArray, text_C: IntArray, *, length: int) -> Grams:
    num = max(len(codes_C) - length + 1, 0)
    key = np.zeros(num, dtype=np.int64)
    for place in range(length):
        key = (key << _CODE_BITS) | codes_C[place : place + num]
    inside = text_C[:num] == text_C[length - 1 : length - 1 + num]
    keys, gram_T = np.unique(key[inside], return_inverse=True)
    return Grams(text_C[:num][inside], gram_T.astype(np.int64), _spelled(keys, length=length))


def _spelled(keys: IntArray, *, length: int) -> pa.Array:
    shifts = np.arange(length - 1, -1, -1) * _CODE_BITS
    codes = ((keys[:, None] >> shifts) & ((1 << _CODE_BITS) - 1)).astype("<u4")
    text = codes.tobytes().decode("utf-32-le")
    return pa.array([text[start : start + length] for start in range(0, len(text), length)], pa.string())


def _named(kind: str, names: pa.Array) -> pa.Array:
    return pc.binary_join_element_wise(kind, names, "")
