"""Propagation over the typed graph: LightGCN with one learned weight per relation and layer.

He et al., "LightGCN", SIGIR 2020: no transformation, no non-linearity, the mean of the
layers; relations as in R-GCN (Schlichtkrull et al., ESWC 2018), each with a scalar instead
of a matrix. Shapes: S sources, T targets, L layers, R relations, D embedding size.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain

import torch
from torch import Tensor, nn

from ml.models.gnn.relations import Relation

Vectors = dict[str, Tensor]


class TypedPropagation(nn.Module):
    """`x_target <- sum over relations of sign x weight x Â x_source`, layer by layer; returns the layers' mean."""

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
            source_SD = _masked(vectors[relation.source], shown if relation.is_behaviour and relation.source == "item" else None)
            messages_TD = self.convolution(source_SD, relation) * (weight * relation.sign)
            messages_TD = _masked(messages_TD, shown if relation.is_behaviour and relation.target == "item" else None)
            following[relation.target] = following[relation.target] + messages_TD
        return following


def _masked(vectors_ND: Tensor, mask_N1: Tensor | None) -> Tensor:
    return vectors_ND if mask_N1 is None else vectors_ND * mask_N1
