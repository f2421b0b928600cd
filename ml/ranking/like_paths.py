"""How each liked item leads to each shown one over edges of the interest graph: all pairs of one request at once.

The ways are those of `ml.ranking.reasons`, a like at a time: a fact both share, an interest both are about, another user who liked
both. What a way is worth in the score is `ml.ranking.attribution`'s. Shapes: L liked items, K shown items, I items of
the release, T interests or entities, U users.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from ml.graph.edge_types import ABOUT, HAS_INTEREST, INTERACTED, SIMILAR
from ml.graph.interest_graph import EdgeType, InterestGraph
from ml.ids import BoolArray, IntArray, Vocabulary
from ml.ranking.sparse_rows import dense_block, entries_of

# Kinds of ways, as in `Ways.kind_LK`.
NO_WAY, ENTITY, LINK, INTEREST, OTHERS = range(5)

Floats = npt.NDArray[np.float64]

# What more than this share of the items has in common is no reason, unless that is only a few items.
_MAX_SHARE = 0.2
_FEW_ITEMS = 10


@dataclass(frozen=True)
class Ways:
    """The best way of each pair, all [L, K]: kind, the entity, interest or other user it goes through, -1 for none, and its relation.

    `relation_LK` is a position in `LikePaths.edge_types` (ENTITY, LINK), `num_others_LK` counts the other users who liked both.
    """

    kind_LK: IntArray
    node_LK: IntArray
    relation_LK: IntArray
    num_others_LK: IntArray


class LikePaths:
    """A graph read once for many requests, in the item positions of a release; the graph may know other items."""

    def __init__(self, graph: InterestGraph, *, items: Vocabulary) -> None:
        """`items` is the release's vocabulary; of items that the graph lacks no way leads on."""
        self.graph = graph
        self._rows = _Rows(graph, items)
        joined = (known for known in graph.edges if known.source == "item" and known.target in {"item", "entity"} and known != SIMILAR)
        self.edge_types: tuple[EdgeType, ...] = tuple(sorted(joined, key=str))
        # Side by side, so that one pass finds the best fact of all relations.
        self._fact_types = tuple(number for number, known in enumerate(self.edge_types) if known.target == "entity")
        facts = [self._rows.of_items(graph.adjacency(self.edge_types[number])) for number in self._fact_types]
        self._facts = _said_rarely(sp.csr_array(sp.hstack([sp.csr_array((len(items), 0), dtype=np.float32), *facts], format="csr")))
        self._links = {
            number: self._rows.of_pairs(graph.adjacency(known)) for number, known in enumerate(self.edge_types) if known.target == "item"
        }
        self.about_IT = self._rows.of_items(graph.adjacency(ABOUT))
        self._interests = _said_rarely(self.about_IT)
        self.has_UT = graph.adjacency(HAS_INTEREST)
        self._likers_IU = self._rows.of_items(sp.csr_array(graph.adjacency(INTERACTED).T))
        self._likers_IU.data[:] = 1.0
        self.num_likers_I: IntArray = np.diff(self._likers_IU.indptr).astype(np.int64)

    @property
    def interest_rarity_T(self) -> Floats:
        """How rare an interest is among items, 0 for one that too many share to say anything, shape [T]."""
        return self._interests.rarity_T

    def ways(self, liked_L: IntArray, item_K: IntArray, *, user: int) -> Ways:
        """The best way from each liked to each shown item; `user` (-1: not in the graph) is nobody else's other.

        An interest comes before other people, and those before facts, whose way alone seldom carries part of the score
        (docs/explanations.md). Of facts the strongest is taken.
        """
        shape = len(liked_L), len(item_K)
        kind_LK, node_LK = np.full(shape, NO_WAY, dtype=np.int64), np.full(shape, -1, dtype=np.int64)
        relation_LK = np.full(shape, -1, dtype=np.int64)
        num_others_LK = self._num_others(liked_L, item_K, user=user)

        def take(kind: int, is_there_LK: BoolArray, *, node: IntArray | int = -1, relation: IntArray | int = -1) -> None:
            left_LK = is_there_LK & (kind_LK == NO_WAY)
            kind_LK[left_LK] = kind
            node_LK[left_LK] = np.broadcast_to(node, shape)[left_LK]
            relation_LK[left_LK] = np.broadcast_to(relation, shape)[left_LK]

        through_interest_LK, interest_LK = self._interests.shared(liked_L, item_K)
        take(INTEREST, through_interest_LK > 0, node=interest_LK)
        take(OTHERS, num_others_LK > 0)
        by_fact_LK, fact_LK = self._facts.shared(liked_L, item_K)
        by_link_LK, link_LK = self._linked(liked_L, item_K)
        take(LINK, by_link_LK > by_fact_LK, relation=link_LK)
        num_entities = max(self.graph.num_nodes("entity"), 1)
        take(ENTITY, by_fact_LK > 0, node=fact_LK % num_entities, relation=np.array([-1, *self._fact_types])[fact_LK // num_entities + 1])
        return Ways(kind_LK, node_LK, relation_LK, num_others_LK)

    def _linked(self, liked_L: IntArray, item_K: IntArray) -> tuple[Floats, IntArray]:
        """The strongest edge between each pair and its type; an edge is as rare as a fact that only the two share. [L, K] each."""
        strength_LK, type_LK = np.zeros((len(liked_L), len(item_K))), np.full((len(liked_L), len(item_K)), -1, dtype=np.int64)
        for number, link_II in self._links.items():
            found_LK = dense_block(link_II, liked_L, item_K) * np.log1p(link_II.shape[0] / 2)
            is_better_LK = found_LK > strength_LK
            strength_LK[is_better_LK], type_LK[is_better_LK] = found_LK[is_better_LK], number
        return strength_LK, type_LK

    def relevance(self, liked_L: IntArray, item_K: IntArray) -> Floats:
        """How near each liked item is to the nearest shown one, by common likers and interests (cosines), shape [L]."""
        shared_LK = (self._likers_IU[liked_L] @ self._likers_IU[item_K].T).toarray()
        popular_LK = np.sqrt(np.maximum(self.num_likers_I[liked_L], 1)[:, None] * np.maximum(self.num_likers_I[item_K], 1)[None, :])
        about_LK = (self._interests.unit_IT[liked_L] @ self._interests.unit_IT[item_K].T).toarray()
        found_L: Floats = (shared_LK / popular_LK + about_LK).max(axis=1, initial=0.0)
        return found_L

    def other(self, liked: int, item: int, *, user: int) -> int:
        """A user other than `user` who likes both items, the lowest position; -1 where there is none."""
        both = np.intersect1d(self._likers_of(liked), self._likers_of(item))
        others = both[both != user]
        return int(others[0]) if len(others) else -1

    def _likers_of(self, item: int) -> IntArray:
        matrix = self._likers_IU
        return np.asarray(matrix.indices[matrix.indptr[item] : matrix.indptr[item + 1]], dtype=np.int64)

    def _num_others(self, liked_L: IntArray, item_K: IntArray, *, user: int) -> IntArray:
        shared_LK: IntArray = (self._likers_IU[liked_L] @ self._likers_IU[item_K].T).toarray().astype(np.int64)
        if user >= 0:
            shared_LK -= self._likes(user, liked_L)[:, None] & self._likes(user, item_K)
        return shared_LK

    def _likes(self, user: int, items: IntArray) -> BoolArray:
        return np.array([_holds(self._likers_of(item), user) for item in items.tolist()], dtype=np.bool_)


def _holds(ascending: IntArray, wanted: int) -> bool:
    place = int(np.searchsorted(ascending, wanted))
    return place < len(ascending) and int(ascending[place]) == wanted


@dataclass(frozen=True)
class _Shared:
    """What items have in common: weights [I, T], how rare each is [T], and rows of rare weights at length 1."""

    weight_IT: sp.csr_array
    rarity_T: Floats
    unit_IT: sp.csr_array

    def shared(self, liked_L: IntArray, item_K: IntArray) -> tuple[Floats, IntArray]:
        """The strongest of what each pair shares, product of weights times rarity, 0 and -1 where there is none; [L, K] each."""
        liked, shown = entries_of(self.weight_IT, liked_L), entries_of(self.weight_IT, item_K)
        # Every entry of a liked item meets those of shown items in its column: P pairs.
        by_column = np.argsort(shown.column_E, kind="stable")
        column_S = shown.column_E[by_column]
        first_E = np.searchsorted(column_S, liked.column_E, side="left")
        num_E = np.searchsorted(column_S, liked.column_E, side="right") - first_E
        entry_P = np.repeat(np.arange(len(num_E)), num_E)
        other_P = by_column[np.arange(len(entry_P)) + (first_E - (np.cumsum(num_E) - num_E))[entry_P]]
        column_P = liked.column_E[entry_P]
        strength_P = liked.value_E[entry_P] * shown.value_E[other_P] * self.rarity_T[column_P]
        cell_P = liked.row_E[entry_P] * len(item_K) + shown.row_E[other_P]
        strength_C, best_C = np.zeros(len(liked_L) * len(item_K)), np.full(len(liked_L) * len(item_K), -1, dtype=np.int64)
        np.maximum.at(strength_C, cell_P, strength_P)
        is_best_P = (strength_P == strength_C[cell_P]) & (strength_P > 0)
        # Ties go to the lowest column: the last to be written.
        order = np.argsort(-column_P[is_best_P], kind="stable")
        best_C[cell_P[is_best_P][order]] = column_P[is_best_P][order]
        shape = len(liked_L), len(item_K)
        return strength_C.reshape(shape), best_C.reshape(shape)


def _said_rarely(weight_IT: sp.csr_array) -> _Shared:
    num_items_T = np.maximum(np.bincount(weight_IT.indices, minlength=weight_IT.shape[1]), 1)
    says_something_T = num_items_T <= max(_MAX_SHARE * weight_IT.shape[0], _FEW_ITEMS)
    rarity_T = np.where(says_something_T, np.log1p(weight_IT.shape[0] / num_items_T), 0.0)
    rare_IT = sp.csr_array(weight_IT @ sp.diags_array(rarity_T))
    length_I = np.sqrt(np.asarray(rare_IT.multiply(rare_IT).sum(axis=1))).reshape(-1)
    return _Shared(weight_IT, rarity_T, sp.csr_array(sp.diags_array(1.0 / np.where(length_I > 0, length_I, 1.0)) @ rare_IT))


class _Rows:
    """The graph's items in the order of a release's, rows of zeros for those the graph lacks."""

    def __init__(self, graph: InterestGraph, items: Vocabulary) -> None:
        position_I, is_known_I = graph.vocabularies["item"].find(items.ids)
        known = np.flatnonzero(is_known_I)
        shape = len(items), graph.num_nodes("item")
        self._select_IG = sp.csr_array((np.ones(len(known), dtype=np.float32), (known, position_I[known])), shape=shape)

    def of_items(self, matrix_GT: sp.csr_array) -> sp.csr_array:
        found = sp.csr_array(self._select_IG @ matrix_GT)
        found.sort_indices()
        return found

    def of_pairs(self, matrix_GG: sp.csr_array) -> sp.csr_array:
        return sp.csr_array(self._select_IG @ (matrix_GG + matrix_GG.T) @ self._select_IG.T)
