"""Many small ridge regressions against one set of vectors: half an epoch of alternating least squares.

Rows of like length are solved together, padded to the longest of them, by batched Cholesky
factors. Shapes: N rows, T targets, D embedding size, B rows of a block, P targets of a row, padded.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
import torch
from torch import Tensor

from ml.ids import FloatArray, IntArray

# Numbers gathered for a block, and numbers of its matrices: 16 MiB each in float32.
_BLOCK_CELLS = 2**22

Vectors = npt.NDArray[np.floating]


@dataclass(frozen=True)
class Ridge:
    """How much a target that is not there counts as 0, and how a row's own length is held down: `regularization x frequency^power`."""

    unobserved_weight: float
    regularization: float
    frequency_power: float

    def penalty(self, observed_N: Vectors, *, total: float) -> Vectors:
        """Of each row: its frequency is what it observed plus the share of the `total` that counts unobserved, shape [N]."""
        frequency_N = observed_N + self.unobserved_weight * total
        penalty_N: Vectors = self.regularization * np.power(frequency_N, self.frequency_power)
        return penalty_N


def solve_rows(weight_NT: sp.csr_array, vectors_TD: Vectors, *, ridge: Ridge, weight_T: FloatArray | None = None) -> Vectors:
    """The vector x of each row that minimises `sum_t weight_nt (1 - x.v_t)^2 + a sum_t weight_t (x.v_t)^2 + penalty_n |x|^2`.

    Shape [N, D], in the precision of the vectors; rows without entries are 0. `weight_T` says how much each
    target counts where it is not observed, None: 1.
    """
    counts_N = np.diff(weight_NT.indptr)
    weighed_TD = vectors_TD if weight_T is None else vectors_TD * weight_T[:, None].astype(vectors_TD.dtype)
    total = float(len(vectors_TD) if weight_T is None else weight_T.sum(dtype=np.float64))
    penalty_N = ridge.penalty(np.asarray(weight_NT.sum(axis=1, dtype=np.float64)).reshape(-1), total=total).astype(vectors_TD.dtype)
    prior_DD = torch.from_numpy(ridge.unobserved_weight * (weighed_TD.T @ vectors_TD))
    found_ND = np.zeros((len(counts_N), vectors_TD.shape[1]), dtype=vectors_TD.dtype)
    targets_TD = torch.from_numpy(vectors_TD)
    for row_B in _blocks(counts_N, size=vectors_TD.shape[1]):
        target_BP, weight_BP = _padded(weight_NT, row_B)
        penalty_B = torch.from_numpy(penalty_N[row_B])
        found_ND[row_B] = _solve_block(targets_TD, target_BP, weight_BP.to(targets_TD.dtype), prior_DD=prior_DD, penalty_B=penalty_B)
    return found_ND


def _solve_block(targets_TD: Tensor, target_BP: Tensor, weight_BP: Tensor, *, prior_DD: Tensor, penalty_B: Tensor) -> Vectors:
    """The normal equations of a block of rows, shape [B, D]."""
    near_BPD = targets_TD[target_BP]
    weighed_BPD = near_BPD * weight_BP[:, :, None]
    system_BDD = torch.baddbmm(prior_DD[None], weighed_BPD.transpose(1, 2), near_BPD)
    system_BDD.diagonal(dim1=1, dim2=2).add_(penalty_B[:, None])
    factor_BDD, failed_B = torch.linalg.cholesky_ex(system_BDD)
    if failed_B.any():
        raise ValueError(
            f"{int((failed_B != 0).sum())} of {len(failed_B)} least squares have no solution in {system_BDD.dtype}: the ridge is too small "
            "for what is liked; raise regularization, or unobserved_weight"
        )
    solved_BD: Vectors = torch.cholesky_solve(weighed_BPD.sum(dim=1)[:, :, None], factor_BDD)[:, :, 0].numpy()
    return solved_BD


def _blocks(counts_N: IntArray, *, size: int) -> Iterator[IntArray]:
    """Rows with entries, the longest first, in blocks whose padded vectors and matrices are bounded."""
    row_N = np.argsort(-counts_N, kind="stable")[: np.count_nonzero(counts_N)]
    start = 0
    while start < len(row_N):
        longest = max(int(counts_N[row_N[start]]), size)
        stop = start + max(_BLOCK_CELLS // (longest * size), 1)
        yield row_N[start:stop]
        start = stop


def _padded(weight_NT: sp.csr_array, row_B: IntArray) -> tuple[Tensor, Tensor]:
    """Targets and weights of these rows, shape [B, P]; what a shorter row lacks has weight 0."""
    start_B, stop_B = weight_NT.indptr[row_B], weight_NT.indptr[row_B + 1]
    place_BP = start_B[:, None] + np.arange((stop_B - start_B).max())
    is_there_BP = place_BP < stop_B[:, None]
    place_BP = np.where(is_there_BP, place_BP, start_B[:, None])
    return torch.from_numpy(weight_NT.indices[place_BP].astype(np.int64)), torch.from_numpy(weight_NT.data[place_BP] * is_there_BP)
