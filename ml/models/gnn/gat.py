"""Graph attention on the typed interest graph: a node is a map of itself plus neighbours weighed by how they match it.

Veličković et al., "Graph attention networks", ICLR 2018, with the attention of GATv2 (Brody, Alon & Yahav, "How
attentive are graph attention networks?", ICLR 2022), a convolution per relation. Inputs, loss and training are
the interest GNN's. Shapes: S sources, T targets, E edges, H heads, C = D / H, D embedding size.
"""

import math
from typing import ClassVar, Optional

import torch
from torch import Tensor, nn
from torch_geometric.nn import GATv2Conv
from torch_geometric.utils import softmax

from ml.models.gnn.interest_gnn import InterestGNN
from ml.models.gnn.layers import LayeredPropagation, mean_weights, set_to_identity
from ml.models.gnn.propagation import Propagation
from ml.models.gnn.relations import Relation

_MOST_HEADS = 4


class AttentiveConvolution(GATv2Conv):  # type: ignore[misc]
    """PyG's GATv2Conv along one relation, edge weights as the prior of its attention: softmax of `score + log weight`.

    Each head reads its own coordinates of the mapped vectors, four heads where the size divides by four. Attention
    starts at 0: the weighted mean, GraphSAGE's. Messages are made edge by edge: 4 bytes x E x D, several times.
    """

    def __init__(self, relation: Relation, size: int, start: float) -> None:
        heads = math.gcd(size, _MOST_HEADS)
        super().__init__((size, size), size // heads, heads=heads, add_self_loops=False, bias=False)
        weight_TS, device = mean_weights(relation).tocoo(), relation.adjacency_TS.device
        target_E, source_E = (torch.from_numpy(index.astype("int64")) for index in weight_TS.coords)
        self.edge_2E = torch.stack([source_E, target_E]).to(device)
        self.log_weight_E = torch.from_numpy(weight_TS.data).log().float().to(device)
        set_to_identity(self.lin_l, times=start)
        set_to_identity(self.lin_r)
        nn.init.zeros_(self.att)

    def forward(self, source_SD: Tensor, target_TD: Tensor) -> Tensor:
        """Messages to the targets, shape [T, D]."""
        messages_TD: Tensor = super().forward((source_SD, target_TD), self.edge_2E, edge_attr=self.log_weight_E)
        return messages_TD

    # PyG reads these annotations, and reads Optional only.
    def edge_update(  # noqa: PLR0917
        self,
        x_j: Tensor,
        x_i: Tensor,
        edge_attr: Tensor,
        index: Tensor,
        ptr: Optional[Tensor],  # noqa: UP045
        dim_size: Optional[int],  # noqa: UP045
    ) -> Tensor:
        """PyG's hook for attention, shape [E, H]."""
        score_EH = (nn.functional.leaky_relu(x_i + x_j, self.negative_slope) * self.att).sum(dim=-1)
        share_EH: Tensor = softmax(score_EH + edge_attr[:, None], index, ptr, dim_size)
        return share_EH


class AttentivePropagation(LayeredPropagation):
    """Attention over neighbours, ELU between layers as in the paper."""

    convolution = AttentiveConvolution
    parts = ("att", "lin_l.weight", "lin_r.weight")
    activation = nn.functional.elu


class GAT(InterestGNN):
    """The interest GNN with graph attention in its middle; scores, inputs, loss, choices and files as there."""

    name: ClassVar[str] = "gat"
    propagation: ClassVar[type[Propagation]] = AttentivePropagation
