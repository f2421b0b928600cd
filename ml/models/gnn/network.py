"""The trainable part of the interest GNN: node inputs, propagation, unit vectors.

An item's input is its own learned vector plus a projection of its text; users, interests
and entities have a learned vector each. Nodes nobody has behaved with have none of their
own, so text, interests and knowledge are all that speaks for a new item.
Shapes: U users, I items, D embedding size, F text dimensions.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from ml.config.pipeline import ModelConfig
from ml.graph.interest_graph import NODE_TYPES
from ml.ids import BoolArray, FloatArray
from ml.models.gnn.node_network import NodeNetwork
from ml.models.gnn.propagation import Propagation, TypedPropagation, Vectors
from ml.models.gnn.relations import Relation, likes, relations_of
from ml.models.inputs import ModelInputs
from ml.models.spectral import COORDINATE_SCALE, centered, spectral_vectors, text_projection


class InterestNetwork(NodeNetwork):
    """From nothing to unit vectors of every node; differentiable."""

    text_IF: Tensor
    liked_I1: Tensor
    liking_U1: Tensor

    def __init__(
        self,
        inputs: ModelInputs,
        *,
        config: ModelConfig,
        rng: np.random.Generator,
        device: torch.device,
        propagation: type[Propagation] = TypedPropagation,
    ) -> None:
        """Start from the spectrum of the likes."""
        super().__init__()
        relations = relations_of(inputs, edge_weight_power=config.edge_weight_power, device=device, excluded=config.excluded_relations)
        likes_UI = likes(inputs, power=config.edge_weight_power)
        users_UD, items_ID = spectral_vectors(likes_UI, embedding_size=config.embedding_size, rng=rng)
        liked_I = np.bincount(likes_UI.indices, minlength=likes_UI.shape[1]) > 0
        text_IF = centered(inputs.text_ID)
        projection_FD = text_projection(text_IF, items_ID, known_I=liked_I)
        # What text already says is not learned twice: an item's own vector starts as the rest.
        own_ID = (items_ID - text_IF @ projection_FD) * liked_I[:, None]
        start = {"user": users_UD, "item": own_ID} | _side_vectors(inputs, relations, items_ID=items_ID, size=config.embedding_size)
        self.own = nn.ParameterDict({kind: nn.Parameter(torch.from_numpy(vectors)) for kind, vectors in start.items()})
        self.projection_FD = nn.Parameter(torch.from_numpy(projection_FD))
        self.register_buffer("text_IF", torch.from_numpy(text_IF), persistent=False)
        self.register_buffer("liked_I1", _column(liked_I), persistent=False)
        self.register_buffer("liking_U1", _column(np.diff(likes_UI.indptr) > 0), persistent=False)
        self.propagation = propagation.of(relations, config=config)
        self.to(device)

    def forward(self, *, shown_I1: Tensor | None = None) -> Vectors:
        """Unit vectors (or 0 for a node nothing is known of) by node type.

        Items at 0 in `shown_I1` are treated as new: neither their own vector nor behaviour speaks for them.
        """
        propagated = self.propagation(self._start(shown_I1), shown=shown_I1)
        return {kind: nn.functional.normalize(vectors_ND, dim=1) for kind, vectors_ND in propagated.items()}

    def _start(self, shown_I1: Tensor | None) -> Vectors:
        own_ID = self.own["item"] * (self.liked_I1 if shown_I1 is None else self.liked_I1 * shown_I1)
        start: Vectors = dict(self.own.items())
        start["user"] = self.own["user"] * self.liking_U1
        start["item"] = own_ID + self.text_IF @ self.projection_FD
        return start

    @torch.no_grad()
    def item_messages(self) -> Tensor:
        """What each item tells a user who likes it, over all layers and before degrees, shape [I, D]."""
        return self.propagation.item_messages(self._start(None))


def _column(mask_N: BoolArray) -> Tensor:
    return torch.from_numpy(mask_N.astype(np.float32)[:, None])


def _side_vectors(inputs: ModelInputs, relations: Sequence[Relation], *, items_ID: FloatArray, size: int) -> dict[str, FloatArray]:
    """Interests and entities start at the middle of their items, 0 where no item is near, [N, D] by node type."""
    items = torch.from_numpy(items_ID)
    found = {}
    for kind in NODE_TYPES[2:]:
        if not (num_nodes := inputs.graph.num_nodes(kind)):
            continue
        sums_ND = torch.zeros(num_nodes, size)
        for relation in relations:
            if relation.source == "item" and relation.target == kind:
                sums_ND += relation.adjacency_TS.cpu() @ items
        scale = sums_ND.square().mean().sqrt()
        found[kind] = (sums_ND * (COORDINATE_SCALE / scale) if scale > 0 else sums_ND).numpy()
    return found
