"""Sparse matrices of the graph's relations: normalised in scipy, multiplied in torch.

Which relations there are is `relations`, what flows along them `propagation`.
Shapes: S sources, T targets, D embedding size.
"""

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
import torch
from torch import Tensor


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


def to_torch(matrix_ST: sp.csr_array, *, device: torch.device) -> Tensor:
    """The same matrix as a torch CSR tensor on `device`."""
    # 32-bit positions halve the index traffic of a product; nothing here has 2^31 edges.
    starts, positions = torch.from_numpy(matrix_ST.indptr.astype(np.int32)), torch.from_numpy(matrix_ST.indices.astype(np.int32))
    values = torch.from_numpy(matrix_ST.data.astype(np.float32))
    with warnings.catch_warnings():
        # torch warns once per process that its CSR layout is in beta.
        warnings.filterwarnings("ignore", message=".*[Ss]parse.*", category=UserWarning)
        return torch.sparse_csr_tensor(starts, positions, values, matrix_ST.shape, check_invariants=False).to(device)


class SparseProduct(torch.autograd.Function):
    """`A @ x` whose gradient is a product with the stored transpose.

    torch would transpose the CSR matrix anew in every backward pass, at several times the cost of the product.
    """

    @staticmethod
    def forward(ctx: Any, matrix_TS: Tensor, transposed_ST: Tensor, x_SD: Tensor) -> Tensor:
        """The product, shape [T, D]."""
        ctx.transposed_ST = transposed_ST
        return matrix_TS @ x_SD

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, None, Tensor]:
        """Gradient of `x_SD`; the matrices are constants."""
        return None, None, ctx.transposed_ST @ gradients[0].contiguous()
