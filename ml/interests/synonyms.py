"""Names that mean one thing become one point: the same items carry them, or their names lie together in the space.

Pairs of mutual nearest neighbours merge, round by round, until none is left. Themes never
merge, and names people gave only where hardly an item carries one alone. Shapes: P points, E pairs, D dimension.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import scipy.sparse as sp

from ml.config.pipeline import InterestConfig
from ml.ids import BoolArray, FloatArray, IntArray
from ml.interests.candidates import KINDS, Candidates, num_carriers
from ml.interests.exact import Floats, on_grid
from ml.interests.weights import item_weights, point_vectors, specificity

# Unit vectors of names, in the space of the items; zeros for a name that has none.
NameVectors = Callable[[Sequence[str]], FloatArray]

GIVEN = ("tag", "category")
# Two rare names on the same few items may be chance.
MIN_SHARED_ITEMS = 4
# Share of the items of two given names that may carry one of them alone.
MAX_APART = 0.1
BLOCK = 4096


@dataclass(frozen=True)
class _Pairs:
    """E pairs of points, `left_E` < `right_E`, and how sure they are one: above 0, at most 1."""

    left_E: IntArray
    right_E: IntArray
    sureness_E: Floats

    def __len__(self) -> int:
        return len(self.left_E)

    def keep(self, mask_E: BoolArray) -> "_Pairs":
        return _Pairs(self.left_E[mask_E], self.right_E[mask_E], self.sureness_E[mask_E])


def merge_synonyms(points: Candidates, *, vectors_ID: FloatArray, config: InterestConfig, name_vectors: NameVectors | None) -> Candidates:
    """The points with synonyms and translations as one each: the more frequent name stays, the others are its aliases.

    Two points are one where `synonym_overlap` of the items of either carry both, or where the cosine of their
    names is at least `synonym_similarity` and that of their items' mean vectors at least `synonym_item_similarity`.
    """
    names_PD = on_grid(name_vectors(points.names.to_pylist())) if name_vectors is not None and len(points) else None
    while True:
        pairs = _mutual(_found(points, vectors_ID=vectors_ID, names_PD=names_PD, config=config), num_points=len(points))
        if not len(pairs):
            return points
        points, kept_P = _merge(points, pairs)
        names_PD = None if names_PD is None else names_PD[kept_P]


def _found(points: Candidates, *, vectors_ID: FloatArray, names_PD: Floats | None, config: InterestConfig) -> _Pairs:
    """Every pair that is one by its items or by its names, unless it may not be."""
    carried_IP = sp.csr_array(points.strength_IP.astype(bool).astype(np.int64))
    by_items = _allowed(_alike_by_items(carried_IP, config=config), points=points, carried_IP=carried_IP)
    if names_PD is None:
        return by_items
    means_PD = on_grid(_mean_vectors(points, vectors_ID=vectors_ID))
    by_names = _allowed(_alike_by_names(names_PD, means_PD=means_PD, config=config), points=points, carried_IP=carried_IP)
    return _Pairs(*(np.concatenate(both) for both in zip(_columns(by_items), _columns(by_names), strict=True)))


def _alike_by_items(carried_IP: sp.csr_array, *, config: InterestConfig) -> _Pairs:
    shared_PP = sp.triu(carried_IP.T @ carried_IP, k=1).tocoo()
    num_items_P = num_carriers(carried_IP)
    overlap_E = shared_PP.data / (num_items_P[shared_PP.row] + num_items_P[shared_PP.col] - shared_PP.data)
    pairs = _Pairs(shared_PP.row.astype(np.int64), shared_PP.col.astype(np.int64), overlap_E.astype(np.float64))
    return pairs.keep((shared_PP.data >= MIN_SHARED_ITEMS) & (overlap_E >= config.synonym_overlap))


def _alike_by_names(names_PD: Floats, *, means_PD: Floats, config: InterestConfig) -> _Pairs:
    """Cosines are exact sums (`ml.interests.exact`), so that no thread count moves a pair over a threshold."""
    parts = [np.zeros((0, 3))]
    for start in range(0, len(names_PD), BLOCK):
        cosine_BP = names_PD[start : start + BLOCK] @ names_PD.T
        row, column = np.nonzero(cosine_BP >= config.synonym_similarity)
        parts.append(np.column_stack([row + start, column, cosine_BP[row, column]])[column > row + start])
    left_E, right_E, cosine_E = np.concatenate(parts).T
    pairs = _Pairs(left_E.astype(np.int64), right_E.astype(np.int64), np.minimum(cosine_E, 1.0))
    return pairs.keep((means_PD[pairs.left_E] * means_PD[pairs.right_E]).sum(axis=1) >= config.synonym_item_similarity)


def _allowed(pairs: _Pairs, *, points: Candidates, carried_IP: sp.csr_array) -> _Pairs:
    """Without themes, pairs of category levels, and pairs of given names that items carry apart."""
    kind_P = np.asarray(pc.index_in(points.kinds, value_set=pa.array(KINDS)), dtype=np.int64)
    given_P = np.asarray(pc.is_in(points.kinds, value_set=pa.array(GIVEN)), dtype=np.bool_)
    left_kind_E, right_kind_E = kind_P[pairs.left_E], kind_P[pairs.right_E]
    carried_IP = sp.csc_array(carried_IP)
    shared_E = np.asarray(carried_IP[:, pairs.left_E].multiply(carried_IP[:, pairs.right_E]).sum(axis=0), dtype=np.float64)
    num_items_P = num_carriers(sp.csr_array(carried_IP))
    any_E = num_items_P[pairs.left_E] + num_items_P[pairs.right_E] - shared_E
    apart_E = (any_E - shared_E) > MAX_APART * any_E
    refused_E = given_P[pairs.left_E] & given_P[pairs.right_E] & apart_E
    refused_E |= (left_kind_E == right_kind_E) & (left_kind_E == KINDS.index("category"))
    refused_E |= np.maximum(left_kind_E, right_kind_E) == KINDS.index("theme")
    return pairs.keep(~refused_E)


def _mutual(pairs: _Pairs, *, num_points: int) -> _Pairs:
    """The pairs of which each is the other's surest, ties by position; no point is in two."""
    end_2E = np.concatenate([pairs.left_E, pairs.right_E])
    other_2E, sureness_2E = np.concatenate([pairs.right_E, pairs.left_E]), np.tile(pairs.sureness_E, 2)
    order = np.lexsort((other_2E, -sureness_2E, end_2E))
    ends, first = np.unique(end_2E[order], return_index=True)
    best_P = np.full(num_points, -1, dtype=np.int64)
    best_P[ends] = other_2E[order][first]
    left = np.flatnonzero((best_P > np.arange(num_points)) & (best_P[best_P] == np.arange(num_points)))
    return _Pairs(left, best_P[left], np.ones(len(left)))


def _merge(points: Candidates, pairs: _Pairs) -> tuple[Candidates, IntArray]:
    """Each pair as one point, and the positions that stay: given names before found ones, then the more frequent, then the first."""
    given_P = np.asarray(pc.is_in(points.kinds, value_set=pa.array(GIVEN)), dtype=np.int64)
    rank_P = given_P * (points.strength_IP.shape[0] + 1) + num_carriers(points.strength_IP)
    swap_E = rank_P[pairs.right_E] > rank_P[pairs.left_E]
    stays_E, goes_E = np.where(swap_E, pairs.right_E, pairs.left_E), np.where(swap_E, pairs.left_E, pairs.right_E)
    joined = sp.csc_array(points.strength_IP)
    moved = sp.csr_array((np.ones(len(goes_E)), (goes_E, stays_E)), shape=(len(points), len(points)))
    strength_IP = sp.csr_array(joined.maximum(sp.csc_array(joined @ moved)))
    aliases, names = points.aliases.to_pylist(), points.names.to_pylist()
    for stays, goes in zip(stays_E, goes_E, strict=True):
        aliases[stays] = [*aliases[stays], names[goes], *aliases[goes]]
    ids = points.ids
    gone, now = ids.take(pa.array(goes_E)), ids.take(pa.array(stays_E))
    parent_ids = pc.coalesce(now.take(pc.index_in(points.parent_ids, value_set=gone)), points.parent_ids)
    kept_P = np.setdiff1d(np.arange(len(points)), goes_E)
    merged = replace(points, strength_IP=strength_IP, aliases=pa.array(aliases, points.aliases.type), parent_ids=parent_ids)
    return merged.take(kept_P), kept_P


def _columns(pairs: _Pairs) -> tuple[IntArray, IntArray, Floats]:
    return pairs.left_E, pairs.right_E, pairs.sureness_E


def _mean_vectors(points: Candidates, *, vectors_ID: FloatArray) -> FloatArray:
    num_items_P = num_carriers(points.strength_IP)
    weights_IP = item_weights(points.strength_IP, specificity_P=specificity(num_items_P, num_items=len(vectors_ID)))
    return point_vectors(weights_IP, vectors_ID=vectors_ID)
