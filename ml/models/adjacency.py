"""Sparse matrices of the graph's relations: normalised by `ml.graph.normalisation`, multiplied in torch.

Which relations there are is `relations`, what flows along them `propagation`.
Shapes: S sources, T targets, D embedding size.
"""

import warnings
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from ml.graph.normalisation import normalize_symmetric

__all__ = ["SparseProduct", "normalize_symmetric", "to_torch"]


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
