"""Rows of a table gathered by key, in the order of a vocabulary.

Every function takes the key column and gives one value (or list) per vocabulary
entry, zero or empty where the table has none; an unknown key raises `UnknownIdError`.
Shapes: N rows of the table, K keys of the vocabulary.
"""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ml.contracts.contract import VECTOR
from ml.ids import FloatArray, IntArray, Vocabulary


def count_by(keys: pa.ChunkedArray | pa.Array, *, order: Vocabulary) -> IntArray:
    """Rows per key, shape [K]."""
    return np.bincount(order.positions(keys), minlength=len(order)).astype(np.int64)


def sum_by(keys: pa.ChunkedArray | pa.Array, values_N: npt.NDArray[np.number], *, order: Vocabulary) -> npt.NDArray[np.float64]:
    """Sum of `values_N` per key, shape [K]."""
    return np.bincount(order.positions(keys), weights=values_N, minlength=len(order)).astype(np.float64)


def max_by(keys: pa.ChunkedArray | pa.Array, values_N: IntArray, *, order: Vocabulary, absent: int) -> IntArray:
    """Largest of `values_N` per key, `absent` where the key has no row, shape [K]."""
    largest_K = np.full(len(order), absent, dtype=np.int64)
    np.maximum.at(largest_K, order.positions(keys), values_N)
    return largest_K


def strongest_rows(keys_N: IntArray, weights_N: npt.NDArray[np.float64], ties_N: IntArray, *, limit: int, num_keys: int) -> IntArray:
    """Row numbers of the `limit` heaviest rows of each key: key by key, heaviest first, ties by the smaller `ties_N`."""
    rows = np.lexsort((ties_N, -weights_N, keys_N))
    counts_K = np.bincount(keys_N, minlength=num_keys)
    starts_K = np.cumsum(counts_K) - counts_K
    rank = np.arange(len(rows)) - starts_K[keys_N[rows]]
    return rows[rank < limit].astype(np.int64)


def lists_by(keys_N: IntArray, values: pa.ChunkedArray | pa.Array, *, num_keys: int) -> pa.Array:
    """One list of `values` per key, shape [K]; rows must already be sorted by key, their order within a key is kept."""
    flat = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    offsets = np.concatenate([[0], np.cumsum(np.bincount(keys_N, minlength=num_keys))]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), flat)


def vectors_by(order: Vocabulary, *, known: Vocabulary, vectors_ND: FloatArray) -> pa.Array:
    """The vector of each id of `order` as a list column, shape [K]; empty for ids that `known` (shape [N]) does not hold."""
    if len(known) != len(vectors_ND):
        raise ValueError(f"{len(known)} {known.kind} ids but {len(vectors_ND)} vectors")
    positions, is_known = known.find(order.ids)
    dimension = vectors_ND.shape[1] if vectors_ND.ndim == 2 else 0
    offsets = np.concatenate([[0], np.cumsum(is_known * dimension)]).astype(np.int32)
    values = np.ascontiguousarray(vectors_ND[positions[is_known]], dtype=np.float32).reshape(-1)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(values)).cast(VECTOR)
