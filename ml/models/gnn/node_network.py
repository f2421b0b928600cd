"""What every network of node vectors has in common, so that one trainer serves them all. Shapes: I items, N nodes, D embedding size."""

import torch
from torch import Tensor, nn

from ml.models.gnn.propagation import Vectors


class NodeNetwork(nn.Module):
    """From learned vectors of the nodes, by node type, to unit vectors of each; "user" and "item" are among them."""

    own: nn.ParameterDict

    def forward(self, *, shown_I1: Tensor | None = None) -> Vectors:
        """Unit vectors (or 0 for a node nothing is known of), [N, D] by node type; items at 0 in `shown_I1` play new."""
        raise NotImplementedError

    def item_messages(self) -> Tensor:
        """What each item tells a user who likes it, over all layers and before degrees, without gradient, shape [I, D]."""
        raise NotImplementedError

    @torch.no_grad()
    def unit_vectors(self) -> Vectors:
        """The vectors as they stand, without gradient."""
        return self(shown_I1=None)  # type: ignore[no-any-return]
