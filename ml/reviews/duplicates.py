"""Texts that say what another text says, word for word or nearly: when each is first known to have a twin.

MinHash with banding: Broder, "On the resemblance and containment of documents", 1997; Leskovec et al., "Mining of Massive
Datasets", ch. 3. Shapes: N texts, T shingles in all texts, H hashes, B bands.
"""

import numpy as np
import pyarrow as pa

from ml.ids import BoolArray, IntArray
from ml.reviews.grams import character_grams
from ml.splitmix import GAMMA, Words, mix

_HASHES, _BANDS = 64, 16
# Short texts are alike by chance.
FEWEST_SHINGLES = 12
_NEVER = np.iinfo(np.int64).max


def twin_moments(texts: pa.Array | pa.ChunkedArray, *, at_N: IntArray, author_N: IntArray, item_N: IntArray, likeness: float) -> IntArray:
    """When each text first had a twin, UTC microseconds, the largest integer where it never had, shape [N].

    Twins share `likeness` of their runs of three characters (Jaccard, estimated); two texts of one author on
    one item are a correction, not twins. Texts of fewer than twelve runs have none.
    """
    moment_N = np.full(len(texts), _NEVER)
    rows_L, signatures_LH = _signatures(texts)
    if not len(rows_L):
        return moment_N
    order = np.lexsort((item_N[rows_L], author_N[rows_L], at_N[rows_L]))
    rows_L, signatures_LH = rows_L[order], signatures_LH[order]
    for band in np.split(signatures_LH, _BANDS, axis=1):
        first_L = _first_of_group(band)
        is_twin_L = _are_alike(signatures_LH, first_L, likeness=likeness) & ~_is_correction(rows_L, first_L, author_N, item_N)
        twins, firsts = rows_L[is_twin_L], rows_L[first_L[is_twin_L]]
        np.minimum.at(moment_N, twins, at_N[twins])
        np.minimum.at(moment_N, firsts, at_N[twins])
    return moment_N


def _signatures(texts: pa.Array | pa.ChunkedArray) -> tuple[IntArray, Words]:
    """Rows of texts long enough, and the smallest of each hash over their shingles, shape [L, H]."""
    grams = character_grams(texts, longest=3)
    is_shingle = np.asarray([len(name) == 5 for name in grams.names.to_pylist()], dtype=np.bool_)
    hash_V = np.asarray([_stable_hash(name) for name in grams.names.to_pylist()], dtype=np.uint64)
    pairs = np.unique(np.stack([grams.text_T, grams.gram_T])[:, is_shingle[grams.gram_T]], axis=1)
    text_T, gram_T = pairs[0], pairs[1]
    long_T = np.bincount(text_T, minlength=len(texts))[text_T] >= FEWEST_SHINGLES
    text_T, gram_T = text_T[long_T], gram_T[long_T]
    starts = np.flatnonzero(np.diff(text_T, prepend=-1))
    if not len(starts):
        return np.zeros(0, dtype=np.int64), np.zeros((0, _HASHES), dtype=np.uint64)
    columns = [np.minimum.reduceat(_mixed(hash_V, number)[gram_T], starts) for number in range(_HASHES)]
    return text_T[starts], np.stack(columns, axis=1)


def _stable_hash(name: str) -> int:
    # The characters themselves: three code points fit 63 bits.
    return sum(ord(character) << (21 * place) for place, character in enumerate(name[2:]))


def _mixed(value_V: Words, number: int) -> Words:
    """The `number`-th hash of each value: splitmix64 of the value and the number."""
    return mix(value_V + np.uint64((GAMMA * (number + 1)) % 2**64))


def _first_of_group(band: Words) -> IntArray:
    """The oldest row of those with the same band, shape [L]; rows are oldest first."""
    _, first, group = np.unique(band, axis=0, return_index=True, return_inverse=True)
    return np.asarray(first[group.ravel()], dtype=np.int64)


def _are_alike(signatures_LH: Words, first_L: IntArray, *, likeness: float) -> BoolArray:
    alike_L = (signatures_LH == signatures_LH[first_L]).mean(axis=1) >= likeness
    return np.asarray(alike_L & (first_L != np.arange(len(first_L))), dtype=np.bool_)


def _is_correction(rows_L: IntArray, first_L: IntArray, author_N: IntArray, item_N: IntArray) -> BoolArray:
    firsts = rows_L[first_L]
    return np.asarray((author_N[rows_L] == author_N[firsts]) & (item_N[rows_L] == item_N[firsts]), dtype=np.bool_)
