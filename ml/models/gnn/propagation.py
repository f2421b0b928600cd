"""Propagation over the typed graph: LightGCN with one learned weight per relation and layer.

He et al., "LightGCN", SIGIR 2020: no transformation, no non-linearity, the mean of the
layers; relations as in R-GCN (Schlichtkrull et al., ESWC 2018), each with a scalar instead
of a matrix. Shapes: S sources, T targets, L layers, R relations, D embedding size.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import ClassVar, Self

import torch
from torch import Tensor, nn

from ml.config.pipeline import ModelConfig
from ml.ids import FloatArray
from ml.models.gnn.relations import Relation

Vectors = dict[str, Tensor]


class Propagation(nn.Module):
    """What `InterestNetwork` asks of the part in its middle, which can be exchanged: this module's, `sage`'s, `gat`'s."""

    relations: tuple[Relation, ...]
    # Whether a node without an edge keeps its own vector's direction.
    is_linear: ClassVar[bool] = False

    @classmethod
    def of(cls, relations: Sequence[Relation], *, config: ModelConfig) -> Self:
        """As a configuration has it."""
        raise NotImplementedError

    def forward(self, start: Mapping[str, Tensor], *, shown: Tensor | None = None) -> Vectors:
        """Every node's vector, by node type; `shown` ([items, 1], 0 or 1) hides items from behaviour."""
        raise NotImplementedError

    def item_messages(self, start: Mapping[str, Tensor]) -> Tensor:
        """What each item tells a user who likes it, over all layers and before degrees, shape [I, D]."""
        raise NotImplementedError

    def named_weights(self) -> dict[str, float]:
        """How much each relation counts, by "layer/relation", layers from 1."""
        raise NotImplementedError

    def num_layers_of(self, arrays: Mapping[str, FloatArray]) -> int:
        """Layers of the propagation of this kind that had these parameters; 0 where they are another kind's."""
        raise NotImplementedError

    def take_over(self, arrays: Mapping[str, FloatArray], *, relations: Sequence[str]) -> None:
        """Set to the parameters of an older one of as many layers, whose relations were these; new relations stay as built."""
        raise NotImplementedError


class TypedPropagation(Propagation):
    """`x_target <- sum over relations of sign x weight x Â x_source`, layer by layer; returns the layers' mean."""

    is_linear: ClassVar[bool] = True

    def __init__(self, relations: Sequence[Relation], *, num_layers: int, side_weight: float) -> None:
        """Behaviour starts at weight 1, every other relation at `side_weight` (above 0)."""
        from ml.models.gnn.convolution import RelationConvolution  # noqa: PLC0415  (PyG imports slowly: only training needs it)

        super().__init__()
        self.relations = tuple(relations)
        self.convolution = RelationConvolution()
        starts_R = [1.0 if relation.says_like else side_weight for relation in relations]
        # The inverse of softplus, which keeps the learned weights above 0.
        raw_R = [math.log(math.expm1(start)) for start in starts_R]
        self.raw_weight_LR = nn.Parameter(torch.tensor([raw_R] * num_layers).reshape(num_layers, len(raw_R)))

    @classmethod
    def of(cls, relations: Sequence[Relation], *, config: ModelConfig) -> Self:
        """As a configuration has it."""
        return cls(relations, num_layers=config.num_layers, side_weight=config.side_relation_weight)

    def num_layers_of(self, arrays: Mapping[str, FloatArray]) -> int:
        """Rows of the relation weights."""
        return len(arrays["raw_weight_LR"]) if set(arrays) == {"raw_weight_LR"} else 0

    @torch.no_grad()
    def take_over(self, arrays: Mapping[str, FloatArray], *, relations: Sequence[str]) -> None:
        """Columns of known relations."""
        old_column = {name: column for column, name in enumerate(relations)}
        for column, relation in enumerate(map(str, self.relations)):
            if relation in old_column:
                self.raw_weight_LR[:, column] = torch.from_numpy(arrays["raw_weight_LR"][:, old_column[relation]])

    @property
    def weight_LR(self) -> Tensor:
        """How much each relation counts in each layer, above 0."""
        return nn.functional.softplus(self.raw_weight_LR)

    def named_weights(self) -> dict[str, float]:
        """Learned weights by "layer/relation", layers from 1."""
        weights = self.weight_LR.detach().cpu()
        return {
            f"{layer}/{relation}": float(weights[layer - 1, number])
            for layer in range(1, len(weights) + 1)
            for number, relation in enumerate(self.relations)
        }

    def forward(self, start: Mapping[str, Tensor], *, shown: Tensor | None = None) -> Vectors:
        """Mean over layers 0..L of every node's vector, by node type.

        `shown` ([items, 1], 0 or 1) hides items from behaviour: as if nobody had met those at 0.
        """
        total = dict(start)
        for vectors in self._layers(start, shown):
            total = {kind: total[kind] + vectors[kind] for kind in total}
        num_layers = len(self.raw_weight_LR)
        return {kind: summed / (num_layers + 1) for kind, summed in total.items()}

    def item_messages(self, start: Mapping[str, Tensor]) -> Tensor:
        """What each item sends along a like, by the weight that likes have in each layer and before degrees, shape [I, D]."""
        told_ID = torch.zeros_like(start["item"])
        along = [number for number, relation in enumerate(self.relations) if relation.says_like and relation.source == "item"]
        given = chain([start["item"]], (vectors["item"] for vectors in self._layers(start, None)))
        for weight_R, vectors_ID in zip(self.weight_LR, given, strict=False):
            told_ID = told_ID + weight_R[along].sum() * vectors_ID
        return told_ID

    def _layers(self, start: Mapping[str, Tensor], shown: Tensor | None) -> Iterator[Vectors]:
        vectors = dict(start)
        for weight_R in self.weight_LR:
            vectors = self._layer(vectors, weight_R, shown)
            yield vectors

    def _layer(self, vectors: Vectors, weight_R: Tensor, shown: Tensor | None) -> Vectors:
        following = {kind: torch.zeros_like(old) for kind, old in vectors.items()}
        for weight, relation in zip(weight_R, self.relations, strict=True):
            source_SD = masked(vectors[relation.source], shown if relation.is_behaviour and relation.source == "item" else None)
            messages_TD = self.convolution(source_SD, relation) * (weight * relation.sign)
            messages_TD = masked(messages_TD, shown if relation.is_behaviour and relation.target == "item" else None)
            following[relation.target] = following[relation.target] + messages_TD
        return following


def masked(vectors_ND: Tensor, mask_N1: Tensor | None) -> Tensor:
    """Rows at 0 in the mask set to 0."""
    return vectors_ND if mask_N1 is None else vectors_ND * mask_N1
