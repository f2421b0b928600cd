"""Products with histories over few items, such as one user's again and again without some of it: dense, over these items alone.

scipy's products cost more to prepare than these take, and copy all of a dense factor that lies or counts otherwise. Shapes: B batch of
users, I items, K items that are there, J columns.
"""

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from ml.ids import IntArray
from ml.ranking.sparse_rows import dense_rows

Matrix = npt.NDArray[np.floating]

# Below this share of entries a sparse product is quicker.
_LEAST_DENSITY = 0.125


def few_items(weight_BI: sp.csr_array) -> tuple[Matrix, IntArray] | None:
    """The weights as a dense block [B, K], and its items, ascending, [K]; None where the block would be mostly zeros."""
    item_K = np.unique(weight_BI.indices)
    if weight_BI.nnz < _LEAST_DENSITY * weight_BI.shape[0] * len(item_K):
        return None
    weight_BK = np.zeros((weight_BI.shape[0], len(item_K)), dtype=weight_BI.dtype)
    row_E = np.repeat(np.arange(len(weight_BK)), np.diff(weight_BI.indptr))
    weight_BK[row_E, np.searchsorted(item_K, weight_BI.indices)] = weight_BI.data
    return weight_BK, item_K.astype(np.int64)


def product(weight_BI: sp.csr_array, matrix_IJ: Matrix | sp.csr_array) -> Matrix:
    """`weight_BI @ matrix_IJ`, dense [B, J], the same either way up to rounding."""
    found = few_items(weight_BI)
    if found is None:
        product_BJ = weight_BI @ matrix_IJ
        return np.asarray(product_BJ.toarray() if sp.issparse(product_BJ) else product_BJ)
    weight_BK, item_K = found
    return np.asarray(weight_BK @ (dense_rows(matrix_IJ, item_K) if sp.issparse(matrix_IJ) else matrix_IJ[item_K]))
