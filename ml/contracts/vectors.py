"""Between list columns of a table and matrices."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ml.contracts.contract import VECTOR


def vectors_to_matrix(column: pa.ChunkedArray | pa.Array) -> npt.NDArray[np.float32]:
    """A list<float> column of equal lengths as float32, shape [N, D] (N = 0 gives [0, 0])."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if len(array) == 0:
        return np.zeros((0, 0), dtype=np.float32)
    flat: npt.NDArray[np.float32] = array.flatten().to_numpy(zero_copy_only=False).astype(np.float32, copy=False)
    return flat.reshape(len(array), -1)


def matrix_to_vectors(matrix_ND: npt.NDArray[np.floating]) -> pa.Array:
    """A matrix as a list<float> column, one row a list."""
    num_rows, dimension = matrix_ND.shape
    offsets = pa.array(
        np.arange(0, (num_rows + 1) * dimension, dimension, dtype=np.int32) if dimension else np.zeros(num_rows + 1, dtype=np.int32)
    )
    values = pa.array(np.ascontiguousarray(matrix_ND, dtype=np.float32).reshape(-1))
    return pa.ListArray.from_arrays(offsets, values).cast(VECTOR)
