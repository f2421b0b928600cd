"""One relation's messages as PyG does them: a sum over neighbours, one sparse product. Shapes: S sources, T targets, D embedding size."""

from torch import Tensor
from torch_geometric.nn import MessagePassing

from ml.models.adjacency import SparseProduct
from ml.models.gnn.relations import Relation


class RelationConvolution(MessagePassing):  # type: ignore[misc]
    """Sums neighbours' vectors by edge weight along one relation, as one sparse product."""

    def __init__(self) -> None:
        super().__init__(aggr="sum")

    def forward(self, x_SD: Tensor, relation: Relation) -> Tensor:
        """Messages to the targets, shape [T, D]."""
        messages_TD: Tensor = self.propagate(relation.adjacency_TS, x=(x_SD, None), transposed=relation.transposed_ST)
        return messages_TD

    def message_and_aggregate(self, edge_index: Tensor, x: tuple[Tensor, None], transposed: Tensor) -> Tensor:
        """PyG's hook for both steps at once."""
        product_TD: Tensor = SparseProduct.apply(edge_index, transposed, x[0])  # type: ignore[no-untyped-call]
        return product_TD
