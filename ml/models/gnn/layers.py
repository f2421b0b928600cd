"""Layers with a matrix per relation and a non-linearity between them: the frame that GraphSAGE and GAT share.

As PyG's `HeteroConv`, one convolution per relation, summed at the target; not that class, since it gives a
node's vector to all relations alike, and an item that plays new is hidden from behaviour alone.
Shapes: S sources, T targets, N nodes, D embedding size.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, Self

import scipy.sparse as sp
import torch
from torch import Tensor, nn

from ml.config.pipeline import ModelConfig
from ml.graph.interest_graph import NODE_TYPES
from ml.ids import FloatArray
from ml.models.gnn.propagation import Propagation, Vectors, masked
from ml.models.gnn.relations import Relation


class LayeredPropagation(Propagation):
    """`x_target <- W_self x_target + sum over relations of convolution(x_source, x_target)`, activated between layers.

    Matrices start at a multiple of the identity: 1 for a node itself and for likes, `side_weight` for every other
    relation, below 0 for dislikes. Training thus starts where the spectral start is already good, a random
    matrix would undo it. No bias: a node that nothing is known of has a vector of 0.
    """

    # Makes the messages along one relation: (relation, embedding size, start) -> a module with the main matrix `lin_l`.
    convolution: ClassVar[Callable[..., nn.Module]]
    # Parameters of a convolution, by name.
    parts: ClassVar[tuple[str, ...]]
    activation: ClassVar[Callable[[Tensor], Tensor]]

    def __init__(self, relations: Sequence[Relation], *, num_layers: int, size: int, side_weight: float) -> None:
        super().__init__()
        self.relations = tuple(relations)
        # PyG draws first weights from torch's global generator; they are replaced, and it is left as it was.
        with torch.random.fork_rng(devices=[]):
            layers = [_layer(self.relations, type(self).convolution, size=size, side_weight=side_weight) for _ in range(num_layers)]
        self.layers = nn.ModuleList(layers)

    @classmethod
    def of(cls, relations: Sequence[Relation], *, config: ModelConfig) -> Self:
        """As a configuration has it."""
        return cls(relations, num_layers=config.num_layers, size=config.embedding_size, side_weight=config.side_relation_weight)

    def forward(self, start: Mapping[str, Tensor], *, shown: Tensor | None = None) -> Vectors:
        """The last layer's vectors; items at 0 in `shown` neither get nor give through behaviour."""
        vectors = self._messages(self.layers[0], dict(start), shown)
        for layer in self.layers[1:]:
            activated = {kind: type(self).activation(found_ND) for kind, found_ND in vectors.items()}
            vectors = self._messages(layer, activated, shown)
        return vectors

    def item_messages(self, start: Mapping[str, Tensor]) -> Tensor:
        """The items' last vectors: layers are not linear, so what an item tells along a like has no vector of its own, shape [I, D]."""
        return self(start)["item"]  # type: ignore[no-any-return]

    def _messages(self, layer: nn.Module, vectors: Vectors, shown: Tensor | None) -> Vectors:
        following: Vectors = {kind: layer.own[kind](found_ND) for kind, found_ND in vectors.items()}  # type: ignore[index,operator]
        for relation, convolution in zip(self.relations, layer.along, strict=True):  # type: ignore[arg-type]
            source_SD = masked(vectors[relation.source], shown if relation.is_behaviour and relation.source == "item" else None)
            messages_TD = convolution(source_SD, vectors[relation.target])
            messages_TD = masked(messages_TD, shown if relation.is_behaviour and relation.target == "item" else None)
            following[relation.target] = following[relation.target] + messages_TD
        return following

    def named_weights(self) -> dict[str, float]:
        """Root mean square of the singular values of each relation's matrix: 1 for an identity."""
        return {
            f"{number}/{relation}": float(convolution.lin_l.weight.detach().norm() / len(convolution.lin_l.weight) ** 0.5)
            for number, layer in enumerate(self.layers, start=1)
            for relation, convolution in zip(self.relations, layer.along, strict=True)  # type: ignore[arg-type]
        }

    def num_layers_of(self, arrays: Mapping[str, FloatArray]) -> int:
        """Distinct layers, where the parameters of the convolutions have our names."""
        if not all(name.startswith("layers.") for name in arrays) or not _parts(arrays) <= set(self.parts):
            return 0
        return len({name.split(".")[1] for name in arrays})

    @torch.no_grad()
    def take_over(self, arrays: Mapping[str, FloatArray], *, relations: Sequence[str]) -> None:
        """Matrices of nodes themselves, and of known relations."""
        old_number = {name: number for number, name in enumerate(relations)}
        for name, parameter in self.named_parameters():
            layers, layer, part, which, *rest = name.split(".")
            if part == "along":
                which = str(old_number.get(str(self.relations[int(which)]), "new"))
            if (old := arrays.get(".".join([layers, layer, part, which, *rest]))) is not None:
                parameter.copy_(torch.from_numpy(old))


def _parts(names: Iterable[str]) -> set[str]:
    return {name.split(".", 4)[4] for name in names if ".along." in name}


def _layer(relations: Sequence[Relation], convolution: Callable[..., nn.Module], *, size: int, side_weight: float) -> nn.Module:
    """Matrices of nodes themselves by type under `own`, convolutions in the relations' order under `along`."""
    own = nn.ModuleDict({kind: nn.Linear(size, size, bias=False) for kind in NODE_TYPES})
    for linear in own.values():
        set_to_identity(linear)
    starts = [relation.sign * (1.0 if relation.is_behaviour and relation.sign > 0 else side_weight) for relation in relations]
    along = nn.ModuleList([convolution(relation, size, start) for relation, start in zip(relations, starts, strict=True)])
    return nn.ModuleDict({"own": own, "along": along})


@torch.no_grad()
def set_to_identity(linear: Any, *, times: float = 1.0) -> None:
    """Set a square linear map to a multiple of the identity."""
    linear.weight.copy_(times * torch.eye(len(linear.weight)))


def mean_weights(relation: Relation) -> sp.csr_array:
    """The relation's weights, each target's summing to 1: what a weighted mean over its neighbours takes, shape [T, S]."""
    found = relation.adjacency_TS.cpu()
    parts = (found.values().double().numpy(), found.col_indices().numpy(), found.crow_indices().numpy())
    weight_TS = sp.csr_array(parts, shape=tuple(found.shape))
    total_T = weight_TS.sum(axis=1)
    total_T[total_T == 0] = 1.0
    return sp.csr_array(sp.diags_array(1.0 / total_T) @ weight_TS)
