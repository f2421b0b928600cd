"""Biased second-order random walks over the graph as one, all walkers a step at a time.

Grover & Leskovec, "node2vec", KDD 2016; the bias by rejection sampling as in KnightKing (Yang et al., SOSP
2019): no table per edge. PyG's Node2Vec walks by pyg-lib or torch-cluster, which the package index does
not carry for every platform; this is plain torch. Shapes: N nodes, E edges both ways, W walkers, L walk length.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor


@dataclass(frozen=True)
class WalkGraph:
    """An undirected weighted graph: row starts [N + 1], neighbours [E] ascending in a row, running sum of weights [E], edge keys [E]."""

    start_N: Tensor
    neighbor_E: Tensor
    running_E: Tensor
    key_E: Tensor
    weighted_degree_N: Tensor

    @classmethod
    def of(cls, weight_NN: sp.csr_array) -> Self:
        """From a symmetric matrix of weights above 0."""
        matrix_NN = sp.csr_array(weight_NN, dtype=np.float64, copy=True)
        matrix_NN.sort_indices()
        start_N, neighbor_E = (torch.from_numpy(array.astype(np.int64)) for array in (matrix_NN.indptr, matrix_NN.indices))
        row_E = torch.repeat_interleave(torch.arange(len(start_N) - 1), start_N.diff())
        degree_N = np.asarray(matrix_NN.sum(axis=1), dtype=np.float64).reshape(-1)
        # Each row of sum 1: in one running sum over weights as they are, faint ones would be rounded away.
        running_E = np.cumsum(matrix_NN.data / degree_N[row_E.numpy()])
        return cls(start_N, neighbor_E, torch.from_numpy(running_E), row_E * (len(start_N) - 1) + neighbor_E, torch.from_numpy(degree_N))

    @property
    def connected(self) -> Tensor:
        """Nodes with an edge, ascending."""
        return torch.nonzero(self.start_N.diff()).reshape(-1)

    def are_joined(self, left_W: Tensor, right_W: Tensor) -> Tensor:
        """Whether an edge joins each pair, shape [W]."""
        key_W = left_W * (len(self.start_N) - 1) + right_W
        place_W = torch.searchsorted(self.key_E, key_W).clamp_max(max(len(self.key_E) - 1, 0))
        return self.key_E[place_W] == key_W

    def neighbors(self, node_W: Tensor, *, generator: torch.Generator) -> Tensor:
        """A neighbour of each node, drawn by weight, shape [W]; every node must have one."""
        first_W, last_W = self.start_N[node_W], self.start_N[node_W + 1] - 1
        below_W = torch.where(first_W > 0, self.running_E[(first_W - 1).clamp_min(0)], 0.0)
        chance_W = torch.rand(len(node_W), dtype=torch.float64, generator=generator)
        place_W = torch.searchsorted(self.running_E, below_W + chance_W * (self.running_E[last_W] - below_W), right=True)
        # Rounding at a row's end must not lead into the next row.
        return self.neighbor_E[place_W.clamp(first_W, last_W)]


def walks(graph: WalkGraph, start_W: Tensor, *, length: int, p: float, q: float, generator: torch.Generator) -> Tensor:
    """A walk from each node, which must have an edge, shape [W, L].

    From t over v, a neighbour x of v is drawn by the weight of (v, x), times 1/p where x is t, 1 where
    t and x are joined, 1/q otherwise. Small p goes back, small q goes far.
    """
    found_WL = torch.empty(len(start_W), length, dtype=torch.int64)
    found_WL[:, 0] = start_W
    if length > 1:
        found_WL[:, 1] = graph.neighbors(start_W, generator=generator)
    for step in range(2, length):
        found_WL[:, step] = _second_order(graph, found_WL[:, step - 2], found_WL[:, step - 1], p=p, q=q, generator=generator)
    return found_WL


def _second_order(graph: WalkGraph, before_W: Tensor, now_W: Tensor, *, p: float, q: float, generator: torch.Generator) -> Tensor:
    """Candidates drawn by weight, kept with a chance in proportion to their bias, drawn again until all are kept."""
    next_W = torch.empty_like(now_W)
    largest = max(1 / p, 1.0, 1 / q)
    pending = torch.arange(len(now_W))
    while len(pending):
        candidate = graph.neighbors(now_W[pending], generator=generator)
        bias = torch.where(graph.are_joined(before_W[pending], candidate), 1.0, 1 / q)
        bias = torch.where(candidate == before_W[pending], 1 / p, bias)
        kept = torch.rand(len(pending), generator=generator) * largest < bias
        next_W[pending[kept]] = candidate[kept]
        pending = pending[~kept]
    return next_W
