"""Columns made piece by piece, each piece for other rows, put back in order."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from ml.ids import IntArray


def put_together(pieces: Sequence[tuple[IntArray, pa.Array]], *, dtype: pa.DataType) -> pa.Array:
    """The column whose row `rows[n]` holds `values[n]`, for all (rows, values); together the rows are 0..N-1, each once."""
    rows = np.concatenate([np.zeros(0, dtype=np.int64), *(rows for rows, _ in pieces)])
    values = pa.concat_arrays([pa.array([], dtype), *(values.cast(dtype) for _, values in pieces)])
    if not np.array_equal(np.sort(rows), np.arange(len(values))):
        raise ValueError(f"pieces hold {len(rows)} rows, not each of 0..{len(values) - 1} once")
    return values.take(pa.array(np.argsort(rows, kind="stable")))
