"""Finds, for pairs of a user and an item, the best path between them in the interest graph.

Paths are tried in order: a shared interest; an entity that a liked item shares, or an
edge from a liked item; another user who liked both. Every step is an edge that exists;
putting a path into words is `ml.ranking.wording`. Shapes: N pairs, U users, I items,
T interests, E entities.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np
import pyarrow as pa
import scipy.sparse as sp

from ml.graph.edge_types import ABOUT, HAS_INTEREST, INTERACTED, SIMILAR
from ml.graph.interest_graph import EdgeType, InterestGraph
from ml.ids import IntArray
from ml.ranking.sparse_rows import best_columns, values_at, without_column

# Kinds of reasons, as stored in `Reasons.kind_N`.
NONE, INTEREST, ENTITY, LINK, OTHERS = range(5)

# What more than this share of the catalogue has in common (a language) is no reason, unless that is only a few items.
_MAX_ENTITY_SHARE = 0.2
_FEW_ITEMS = 10

# Pairs worked on at once; bounds the memory, not the result. Fewer where each may need a dense row of items.
_BLOCK = 4096
_ITEM_BLOCK = 1024


@dataclass(frozen=True)
class Reasons:
    """One reason per pair. Positions are in the graph's vocabularies, -1 where the kind has no such node.

    `liked_N` is the liked item a path starts with, `edge_type_N` a position in
    `edge_types` (the knowledge relation of ENTITY and LINK), `other_N` the user who
    liked both and `num_others_N` how many of them there are (OTHERS).
    """

    edge_types: tuple[EdgeType, ...]
    kind_N: IntArray
    interest_N: IntArray
    liked_N: IntArray
    entity_N: IntArray
    edge_type_N: IntArray
    other_N: IntArray
    num_others_N: IntArray

    def take(self, rows: IntArray) -> "Reasons":
        """The reasons of some pairs."""
        arrays = {field.name: getattr(self, field.name)[rows] for field in fields(self) if field.name != "edge_types"}
        return Reasons(edge_types=self.edge_types, **arrays)

    def relations(self, rows: IntArray) -> pa.Array:
        """The knowledge relation of some rows of kind ENTITY or LINK."""
        names = pa.array([known.relation for known in self.edge_types], pa.string())
        return names.take(pa.array(self.edge_type_N[rows]))


def find_reasons(graph: InterestGraph, *, user_N: IntArray, item_N: IntArray) -> Reasons:
    """The best reason of each pair of positions in `graph`, kind NONE where there is no path."""
    # Alike in meaning is no fact that joins two items: what people have in common says more.
    joined = (known for known in graph.edges if known.source == "item" and known.target in {"item", "entity"} and known != SIMILAR)
    edge_types = tuple(sorted(joined, key=str))
    empty = {name: np.full(len(user_N), -1, dtype=np.int64) for name in ("interest_N", "liked_N", "entity_N", "edge_type_N", "other_N")}
    found = Reasons(edge_types=edge_types, kind_N=np.zeros_like(user_N), num_others_N=np.zeros_like(user_N), **empty)
    _find_interests(graph, found, user_N=user_N, item_N=item_N)
    _find_knowledge(graph, found, user_N=user_N, item_N=item_N)
    _find_others(graph, found, user_N=user_N, item_N=item_N)
    return found


def _find_interests(graph: InterestGraph, found: Reasons, *, user_N: IntArray, item_N: IntArray) -> None:
    """The interest with the largest product of the user's and the item's weight."""
    has_UT, about_IT = graph.adjacency(HAS_INTEREST), graph.adjacency(ABOUT)
    for rows in _blocks(np.arange(len(user_N))):
        interest = best_columns(has_UT[user_N[rows]].multiply(about_IT[item_N[rows]]))
        known = rows[interest >= 0]
        found.kind_N[known] = INTEREST
        found.interest_N[known] = interest[interest >= 0]


def _find_knowledge(graph: InterestGraph, found: Reasons, *, user_N: IntArray, item_N: IntArray) -> None:
    """The relation and liked item that bind most strongly; a rare entity binds more than one that everything has."""
    liked_UI = graph.adjacency(INTERACTED)
    matrices = [graph.adjacency(known) for known in found.edge_types]
    for rows in _blocks(np.flatnonzero(found.kind_N == NONE)):
        best = np.zeros(len(rows))
        for number, (known, matrix) in enumerate(zip(found.edge_types, matrices, strict=True)):
            bound = _bound_by_entity if known.target == "entity" else _bound_by_link
            strength, liked, entity = bound(liked_UI[user_N[rows]], matrix, item=item_N[rows])
            better = (liked >= 0) & (strength > best)
            chosen = rows[better]
            best[better] = strength[better]
            found.kind_N[chosen] = ENTITY if known.target == "entity" else LINK
            found.edge_type_N[chosen] = number
            found.liked_N[chosen], found.entity_N[chosen] = liked[better], entity[better]


def _bound_by_entity(liked_NI: sp.csr_array, knows_IE: sp.csr_array, *, item: IntArray) -> tuple[np.ndarray, IntArray, IntArray]:
    num_items_E = np.maximum(np.bincount(knows_IE.indices, minlength=knows_IE.shape[1]), 1)
    says_something_E = num_items_E <= max(_MAX_ENTITY_SHARE * knows_IE.shape[0], _FEW_ITEMS)
    rarity_EE = sp.diags_array(np.where(says_something_E, np.log1p(knows_IE.shape[0] / num_items_E), 0.0))
    liked_NI = without_column(liked_NI, item)
    bound_NE = sp.csr_array((liked_NI @ knows_IE).multiply(knows_IE[item]) @ rarity_EE)
    entity = best_columns(bound_NE)
    strength = np.where(entity >= 0, values_at(bound_NE, rows=np.arange(len(item)), columns=np.maximum(entity, 0)), 0.0)
    has_entity_NI = sp.csr_array(knows_IE.T)[np.maximum(entity, 0)]
    liked = np.where(entity >= 0, best_columns(liked_NI.multiply(has_entity_NI)), -1)
    return strength, liked, np.where(liked >= 0, entity, -1)


def _bound_by_link(liked_NI: sp.csr_array, links_II: sp.csr_array, *, item: IntArray) -> tuple[np.ndarray, IntArray, IntArray]:
    either_II = sp.csr_array(links_II + links_II.T)
    bound_NI = sp.csr_array(without_column(liked_NI, item).multiply(either_II[item]))
    liked = best_columns(bound_NI)
    # An edge between the two items is as rare as an entity that only they share.
    rarity = np.log1p(links_II.shape[0] / 2)
    strength = np.where(liked >= 0, values_at(bound_NI, rows=np.arange(len(item)), columns=np.maximum(liked, 0)) * rarity, 0.0)
    return strength, liked, np.full(len(item), -1, dtype=np.int64)


def _find_others(graph: InterestGraph, found: Reasons, *, user_N: IntArray, item_N: IntArray) -> None:
    """The liked item whose likers went on to this one most, weighed against how many like it anyway."""
    liked_UI = graph.adjacency(INTERACTED)
    likes_UI = sp.csr_array(liked_UI > 0, dtype=np.float32)
    likers_IU = sp.csr_array(likes_UI.T)
    damping_I = 1.0 / np.sqrt(np.maximum(np.diff(likers_IU.indptr), 1))
    damped_UI = sp.csr_array(liked_UI @ sp.diags_array(damping_I))
    left = np.flatnonzero(found.kind_N == NONE)
    # Pairs of one item lie together, so that its co-likes are counted once.
    for rows in _blocks(left[np.argsort(item_N[left], kind="stable")], size=_ITEM_BLOCK):
        user, item = user_N[rows], item_N[rows]
        items, place = np.unique(item, return_inverse=True)
        shared_JI = (likers_IU[items] @ likes_UI).toarray()
        damped_NI = without_column(damped_UI[user], item)
        owner = np.repeat(np.arange(len(rows)), np.diff(damped_NI.indptr))
        damped_NI.data *= shared_JI[place[owner], damped_NI.indices]
        liked = best_columns(damped_NI)
        is_liker = values_at(likes_UI, rows=user, columns=item) > 0
        num_others = np.where(liked >= 0, shared_JI[place, liked], 0).astype(np.int64) - is_liker
        known = np.flatnonzero((liked >= 0) & (num_others > 0))
        found.kind_N[rows[known]] = OTHERS
        found.liked_N[rows[known]], found.num_others_N[rows[known]] = liked[known], num_others[known]
        found.other_N[rows[known]] = _common_likers(likers_IU, liked[known], item[known], without=user[known])


def _common_likers(likers_IU: sp.csr_array, left: IntArray, right: IntArray, *, without: IntArray) -> IntArray:
    """A user other than `without` who likes both items of each pair; there must be one."""
    pairs, place = np.unique(np.stack([left, right]), axis=1, return_inverse=True)
    place = place.reshape(-1)
    both = sp.csr_array(likers_IU[pairs[0]].multiply(likers_IU[pairs[1]]))
    first = best_columns(both)[place]
    taken = np.flatnonzero(first == without)
    first[taken] = best_columns(without_column(both[place[taken]], without[taken]))
    return first


def _blocks(rows: IntArray, *, size: int = _BLOCK) -> Iterator[IntArray]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]
