"""Rows of a dense matrix at length 1. Sparse ones are `ml.ranking.sparse_rows`'s. Shapes: N rows, D dimensions."""

import numpy as np
import numpy.typing as npt

from ml.ids import FloatArray


def unit_rows(matrix_ND: npt.NDArray[np.floating]) -> FloatArray:
    """Rows at length 1, rows of zeros as they are, float32."""
    length_N1 = np.linalg.norm(matrix_ND, axis=1, keepdims=True)
    return np.asarray(matrix_ND / np.where(length_N1 > 0, length_N1, 1.0), dtype=np.float32)
