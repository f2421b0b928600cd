"""Pieces come back in order, and a missing row is noticed."""

import numpy as np
import pyarrow as pa
import pytest

from ml.ranking.pieces import put_together


def test_rows_come_back_in_order() -> None:
    pieces = [
        (np.array([2, 0]), pa.array(["c", "a"])),
        (np.array([], dtype=np.int64), pa.array([], pa.null())),
        (np.array([1]), pa.array(["b"])),
    ]
    assert put_together(pieces, dtype=pa.string()).to_pylist() == ["a", "b", "c"]
    assert put_together([], dtype=pa.string()).to_pylist() == []


@pytest.mark.parametrize("rows", [[0, 2], [0, 0]])
def test_a_row_missing_or_twice_is_refused(rows) -> None:
    with pytest.raises(ValueError, match="each of"):
        put_together([(np.array(rows), pa.array(["a", "b"]))], dtype=pa.string())
