"""Row-wise operations on sparse matrices that scipy does not have."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from ml.ids import IntArray


def unit_rows(matrix: sp.csr_array) -> sp.csr_array:
    """The matrix with every row of L2 length 1; empty rows stay empty."""
    lengths = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1), dtype=np.float64)).reshape(-1)
    scale = np.divide(1.0, lengths, out=np.zeros_like(lengths), where=lengths > 0)
    return sp.csr_array(sp.diags_array(scale.astype(matrix.dtype)) @ matrix)


def best_columns(matrix: sp.csr_array) -> IntArray:
    """The column of each row's largest value above 0, ties to the lowest column, -1 where there is none; shape [rows]."""
    kept = sp.csr_array(matrix, copy=True)
    kept.data[kept.data < 0] = 0
    kept.eliminate_zeros()
    kept.sort_indices()
    best = np.full(kept.shape[0], -1, dtype=np.int64)
    counts = np.diff(kept.indptr)
    rows = np.flatnonzero(counts)
    if len(rows):
        largest = np.maximum.reduceat(kept.data, kept.indptr[rows])
        at_largest = np.flatnonzero(kept.data == np.repeat(largest, counts[rows]))
        owners, first = np.unique(np.repeat(rows, counts[rows])[at_largest], return_index=True)
        best[owners] = kept.indices[at_largest[first]]
    return best


def values_at(matrix: sp.csr_array, *, rows: IntArray, columns: IntArray) -> np.ndarray:
    """One value per (row, column), 0 where nothing is stored; shape [len(rows)]."""
    return np.asarray(matrix[rows, columns]).reshape(-1) if len(rows) else np.zeros(0, dtype=matrix.dtype)


def without_column(matrix: sp.csr_array, columns: IntArray) -> sp.csr_array:
    """The matrix with the entry at `columns[row]` of each row set to 0; shape unchanged."""
    kept = sp.csr_array(matrix, copy=True)
    owner = np.repeat(np.arange(kept.shape[0]), np.diff(kept.indptr))
    kept.data[kept.indices == columns[owner]] = 0
    return kept


@dataclass(frozen=True)
class Entries:
    """Stored entries of some rows, in their order: which of the rows asked for, column, value, [E] each."""

    row_E: IntArray
    column_E: IntArray
    value_E: np.ndarray


def entries_of(matrix: sp.csr_array, rows: IntArray) -> Entries:
    """The entries of `matrix[rows]`, rows from 0 on, without what scipy does beside."""
    rows = np.asarray(rows, dtype=np.int64)
    starts = matrix.indptr[rows]
    counts = matrix.indptr[rows + 1] - starts
    row_E = np.repeat(np.arange(len(rows)), counts)
    place_E = np.arange(len(row_E)) + np.repeat(starts - (np.cumsum(counts) - counts), counts)
    return Entries(row_E, matrix.indices[place_E], matrix.data[place_E])


def dense_rows(matrix: sp.csr_array, rows: IntArray) -> np.ndarray:
    """`matrix[rows].toarray()`, shape [rows, columns]."""
    found = entries_of(matrix, rows)
    dense = np.zeros((len(rows), matrix.shape[1]), dtype=matrix.dtype)
    dense[found.row_E, found.column_E] = found.value_E
    return dense


def dense_block(matrix: sp.csr_array, rows: IntArray, columns: IntArray) -> np.ndarray:
    """`matrix[rows][:, columns].toarray()` for columns that come once each, shape [rows, columns]; costs the entries of the rows."""
    dense = np.zeros((len(rows), len(columns)), dtype=matrix.dtype)
    if len(columns):
        found, order = entries_of(matrix, rows), np.argsort(columns)
        place_E = order[np.minimum(np.searchsorted(columns, found.column_E, sorter=order), len(columns) - 1)]
        is_asked_E = columns[place_E] == found.column_E
        dense[found.row_E[is_asked_E], place_E[is_asked_E]] = found.value_E[is_asked_E]
    return dense
