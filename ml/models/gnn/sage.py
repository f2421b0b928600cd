"""GraphSAGE on the typed interest graph: a node is a map of itself plus maps of its neighbours' means.

Hamilton, Ying & Leskovec, "Inductive representation learning on large graphs", NeurIPS 2017, full graph
instead of sampled neighbours, a matrix per relation. Inputs, loss and training are the interest GNN's.
Shapes: S sources, T targets, D embedding size.
"""

from typing import ClassVar

import torch
from torch import Tensor
from torch_geometric.nn import SAGEConv

from ml.models.adjacency import SparseProduct, to_torch
from ml.models.gnn.interest_gnn import InterestGNN
from ml.models.gnn.layers import LayeredPropagation, mean_weights, set_to_identity
from ml.models.gnn.propagation import Propagation
from ml.models.gnn.relations import Relation


class MeanConvolution(SAGEConv):  # type: ignore[misc]
    """PyG's SAGEConv along one relation; the mean, by edge weight, as one sparse product with the transpose at hand."""

    def __init__(self, relation: Relation, size: int, start: float) -> None:
        super().__init__((size, size), size, aggr="sum", root_weight=False, bias=False)
        mean_TS, device = mean_weights(relation), relation.adjacency_TS.device
        self.mean_TS, self.transposed_ST = (to_torch(matrix.tocsr(), device=device) for matrix in (mean_TS, mean_TS.T))
        set_to_identity(self.lin_l, times=start)

    def forward(self, source_SD: Tensor, target_TD: Tensor) -> Tensor:  # noqa: ARG002
        """Messages to the targets, shape [T, D]; what the targets are themselves is the layer's business."""
        messages_TD: Tensor = super().forward((source_SD, None), self.mean_TS)
        return messages_TD

    def message_and_aggregate(self, adj_t: Tensor, x: tuple[Tensor, None]) -> Tensor:
        """PyG's hook for both steps at once."""
        product_TD: Tensor = SparseProduct.apply(adj_t, self.transposed_ST, x[0])  # type: ignore[no-untyped-call]
        return product_TD


class SagePropagation(LayeredPropagation):
    """Means of neighbours, ReLU between layers."""

    convolution = MeanConvolution
    parts = ("lin_l.weight",)
    activation = torch.relu


class GraphSAGE(InterestGNN):
    """The interest GNN with GraphSAGE in its middle; scores, inputs, loss, choices and files as there."""

    name: ClassVar[str] = "graph_sage"
    propagation: ClassVar[type[Propagation]] = SagePropagation
