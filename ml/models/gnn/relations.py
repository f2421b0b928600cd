"""Which relations messages flow along: every edge type of the interest graph that is not excluded, both ways.

Weights are normalised per relation here, so that no relation drowns another by its size;
how much each counts is learned in `propagation`. Shapes: S sources, T targets, U users, I items.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from ml.graph.edge_types import BEHAVIOUR, DISLIKED, INTERACTED, SIMILAR, SYMMETRIC, WITHIN
from ml.graph.interest_graph import EdgeType
from ml.models.adjacency import normalize_symmetric, to_torch
from ml.models.inputs import ModelInputs

# Relations that the graph makes itself, by name.
MADE: Mapping[str, EdgeType] = {found.relation: found for found in (SIMILAR, WITHIN)}


@dataclass(frozen=True)
class Relation:
    """One way along one edge type: messages from `source` nodes to `target` nodes.

    `sign` is -1 where an edge says dislike; `is_behaviour` where it says what a user did.
    """

    source: str
    name: str
    target: str
    sign: float
    is_behaviour: bool
    adjacency_TS: Tensor
    transposed_ST: Tensor

    @property
    def says_like(self) -> bool:
        """Whether the edges are likes, either way."""
        return self.is_behaviour and self.sign > 0

    def __str__(self) -> str:
        return f"{self.source} -{self.name}-> {self.target}"


def relations_of(
    inputs: ModelInputs, *, edge_weight_power: float, device: torch.device, excluded: Collection[str] = ()
) -> tuple[Relation, ...]:
    """Both directions of every edge type with edges, ordered by source, relation and target; relations named in `excluded` are left out.

    A symmetric type is one relation: which of its two directions is stored must not matter.
    `interacted` is read from `positives_UI`, each weight to the power `edge_weight_power`:
    the graph prunes likes that have faded, but an old like still says what a person likes.
    """
    return tuple(
        relation
        for edge_type, weight_ST in relation_weights(inputs, edge_weight_power=edge_weight_power)
        if not _is_excluded(edge_type, excluded)
        for relation in _both_ways(edge_type, weight_ST, device)
    )


def _is_excluded(edge_type: EdgeType, excluded: Collection[str]) -> bool:
    """By name; of a name that the graph makes itself only that type, since a given relation may be called the same."""
    return edge_type.relation in excluded and MADE.get(edge_type.relation, edge_type) == edge_type


def relation_weights(inputs: ModelInputs, *, edge_weight_power: float) -> Iterator[tuple[EdgeType, sp.csr_array]]:
    """Every edge type with edges, in order, and its weights as they are, shape [S, T]."""
    for edge_type in sorted({INTERACTED, *inputs.graph.edges}, key=lambda known: (known.source, known.relation, known.target)):
        weight_ST = likes(inputs, power=edge_weight_power) if edge_type == INTERACTED else inputs.graph.adjacency(edge_type)
        if weight_ST.nnz:
            yield edge_type, weight_ST


def likes(inputs: ModelInputs, *, power: float) -> sp.csr_array:
    """`positives_UI` with each weight to a power: 0 counts every like the same, 1 by its age and strength.

    Then times its user's credibility, which a small power would otherwise forgive.
    """
    weight_UI = to_power(inputs.positives_UI, power)
    return weight_UI if inputs.credibility_U is None else sp.csr_array(sp.diags_array(inputs.credibility_U) @ weight_UI)


def to_power(positives_UI: sp.csr_array, power: float) -> sp.csr_array:
    """Each weight to a power, in float64; scipy's own knows no power of 0."""
    weight_UI = sp.csr_array(positives_UI, dtype=np.float64, copy=True)
    weight_UI.data **= power
    return weight_UI


def _both_ways(edge_type: EdgeType, weight_ST: sp.csr_array, device: torch.device) -> tuple[Relation, ...]:
    if edge_type in SYMMETRIC:
        either_SS = to_torch(normalize_symmetric(sp.csr_array(weight_ST + weight_ST.T)), device=device)
        return (Relation(edge_type.source, edge_type.relation, edge_type.target, 1.0, False, either_SS, either_SS),)
    normalized_ST = normalize_symmetric(weight_ST)
    forth_ST = to_torch(normalized_ST, device=device)
    back_TS = to_torch(sp.csr_array(normalized_ST.T), device=device)
    sign, is_behaviour = (-1.0 if edge_type == DISLIKED else 1.0), edge_type in BEHAVIOUR
    return (
        Relation(edge_type.source, edge_type.relation, edge_type.target, sign, is_behaviour, back_TS, forth_ST),
        Relation(edge_type.target, f"rev_{edge_type.relation}", edge_type.source, sign, is_behaviour, forth_ST, back_TS),
    )
