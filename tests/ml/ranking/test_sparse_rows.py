"""Row-wise sparse operations against dense ones."""

import numpy as np
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from ml.ranking.sparse_rows import best_columns, dense_block, dense_rows, entries_of, unit_rows, values_at, without_column


@st.composite
def matrices(draw) -> np.ndarray:
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    shape = (draw(st.integers(0, 6)), draw(st.integers(1, 6)))
    return rng.integers(-3, 4, size=shape).astype(np.float64) * (rng.random(shape) < draw(st.sampled_from([0.2, 0.9])))


@settings(deadline=None)
@given(matrices())
def test_best_columns_is_the_first_largest_above_zero(dense) -> None:
    expected = [int(np.argmax(row)) if row.max() > 0 else -1 for row in dense]
    assert best_columns(sp.csr_array(dense)).tolist() == expected


@settings(deadline=None)
@given(matrices(), st.lists(st.integers(0, 5), max_size=8))
def test_entries_and_dense_rows_are_those_of_the_rows_asked_for(dense, wanted) -> None:
    rows = np.array([row for row in wanted if row < len(dense)], dtype=np.int64)
    matrix = sp.csr_array(dense)
    expected = sp.coo_array(matrix[rows])
    found = entries_of(matrix, rows)
    assert [found.row_E.tolist(), found.column_E.tolist(), found.value_E.tolist()] == [
        expected.row.tolist(),
        expected.col.tolist(),
        expected.data.tolist(),
    ]
    assert dense_rows(matrix, rows).tolist() == dense[rows].tolist()
    for columns in (np.arange(0), np.random.default_rng(len(wanted)).permutation(dense.shape[1])[:3]):
        assert dense_block(matrix, rows, columns).tolist() == dense[rows][:, columns].tolist()


@settings(deadline=None)
@given(matrices())
def test_unit_rows(dense) -> None:
    lengths = np.linalg.norm(dense, axis=1, keepdims=True)
    assert_allclose(unit_rows(sp.csr_array(dense)).toarray(), dense / np.where(lengths > 0, lengths, 1.0))


@settings(deadline=None)
@given(matrices())
def test_without_column_and_values_at(dense) -> None:
    columns = np.arange(len(dense)) % dense.shape[1]
    rows = np.arange(len(dense))
    assert_allclose(values_at(sp.csr_array(dense), rows=rows, columns=columns), dense[rows, columns])
    expected = dense.copy()
    expected[rows, columns] = 0
    assert_allclose(without_column(sp.csr_array(dense), columns).toarray(), expected)
