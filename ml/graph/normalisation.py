"""Edge weights made comparable: a node's many edges weigh together what another's few do.

Scipy only, so that whatever passes messages can use it. Shapes: S sources, T targets, N nodes.
"""

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp


def normalize_symmetric(weight_ST: sp.csr_array) -> sp.csr_array:
    """`Ds^-1/2 A Dt^-1/2` with weighted degrees, float32; rows and columns without weight stay empty.

    Kipf & Welling, "Semi-supervised classification with graph convolutional networks",
    ICLR 2017, for a rectangular relation.
    """
    exact_ST = sp.csr_array(weight_ST, dtype=np.float64)
    left_S, right_T = (_inverse_root(np.asarray(exact_ST.sum(axis=axis)).reshape(-1)) for axis in (1, 0))
    normalized_ST = sp.csr_array(sp.diags_array(left_S) @ exact_ST @ sp.diags_array(right_T), dtype=np.float32)
    normalized_ST.sort_indices()
    return normalized_ST


def _inverse_root(degree_N: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    inverse_N = np.zeros(len(degree_N))
    np.divide(1.0, np.sqrt(degree_N), out=inverse_N, where=degree_N > 0)
    return inverse_N
