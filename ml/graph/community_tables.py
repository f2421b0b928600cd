"""The tables `communities` and `community_members`: ids, names and sizes of what `ml.graph.communities` found.

An id is the community's most central member, so the same graph gives the same ids; a name says
which interests its items have more of than the rest. Shapes: C communities, T interests, N members.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import scipy.sparse as sp

from ml.config.pipeline import CommunityConfig
from ml.contracts.contract import FLOATS, STRINGS
from ml.contracts.meaning import COMMUNITIES, COMMUNITY_MEMBERS
from ml.graph.communities import MEMBER_TYPES, Partition, inside_weights
from ml.graph.edge_types import ABOUT, HAS_INTEREST
from ml.graph.interest_graph import InterestGraph
from ml.ids import IntArray

Floats = npt.NDArray[np.float64]

UNNAMED = "unnamed community"
# Interests in a name where the first ones are not taken already.
_NAME_LENGTH = 2
# What a community is called after: of these types, the first it has.
_CENTRES = ("item", "user", "interest")


def community_tables(
    graph: InterestGraph, found: Partition, *, interest_points: pa.Table, config: CommunityConfig
) -> tuple[pa.Table, pa.Table]:
    """One row per community, largest first, and one per member; a graph without edges gives two empty tables."""
    ids = _ids(graph, found)
    interest_C, score_C = _told_by(graph, found, config=config)
    name_T, is_theme_T = _interest_names(graph, interest_points)
    # A theme is named by what its items share, a tag by somebody: those come first where there are any.
    named = [[name_T[interest] for interest in sorted(interests, key=is_theme_T.__getitem__)] for interests in interest_C]
    counts = {node_type: np.bincount(_placed(found, node_type), minlength=len(ids)) for node_type in MEMBER_TYPES}
    strength_N = _strengths(found)
    placed_N = found.label_N >= 0
    columns = {
        "community_id": ids,
        "name": unique_names(named, ids=ids),
        **{f"num_{node_type}s": counts[node_type] for node_type in MEMBER_TYPES},
        "interest_ids": pa.array([graph.vocabularies["interest"].take(interests).to_pylist() for interests in interest_C], STRINGS),
        "interest_scores": pa.array([scores.tolist() for scores in score_C], FLOATS),
        "cohesion": np.bincount(found.label_N[placed_N], weights=strength_N[placed_N], minlength=len(ids))
        / np.maximum(sum(counts.values()), 1),
    }
    return COMMUNITIES.conform(pa.table(columns)), _members(graph, found, ids=ids, strength_N=strength_N)


def unique_names(named: Sequence[Sequence[str]], *, ids: Sequence[str]) -> list[str]:
    """A name per community out of its interests' names, strongest first; where it is taken, of more of them, at last with its id."""
    taken: set[str] = set()
    names = []
    for interests, community_id in zip(named, ids, strict=True):
        told = list(dict.fromkeys(interests))
        choices = [", ".join(told[:length]) for length in range(min(_NAME_LENGTH, len(told)), len(told) + 1) if told]
        last = f"{choices[0] if choices else UNNAMED} ({community_id})"
        names.append(next((name for name in choices if name not in taken), last))
        taken.add(names[-1])
    return names


def _ids(graph: InterestGraph, found: Partition) -> list[str]:
    """`type:id` of each community's most central item, of its most central user or interest where it has no item."""
    degree_N = np.asarray(found.weight_NN.sum(axis=1)).reshape(-1)
    kind_N = np.repeat([_CENTRES.index(node_type) for node_type in MEMBER_TYPES], np.diff(found.offsets))
    order = np.lexsort((np.arange(len(degree_N)), -degree_N, kind_N, found.label_N))
    order = order[found.label_N[order] >= 0]
    _, first_C = np.unique(found.label_N[order], return_index=True)
    return [_label(graph, found, int(node)) for node in order[first_C]]


def _label(graph: InterestGraph, found: Partition, node: int) -> str:
    place = int(np.searchsorted(found.offsets, node, side="right")) - 1
    node_type = MEMBER_TYPES[place]
    return f"{node_type}:{graph.vocabularies[node_type].ids[node - int(found.offsets[place])].as_py()}"


def _told_by(graph: InterestGraph, found: Partition, *, config: CommunityConfig) -> tuple[list[IntArray], list[Floats]]:
    """The interests that tell each community from the rest, most over-represented first, and by how much.

    Of its items' interests; where those have none, of its users'.
    """
    by_items, by_users = (
        _over_represented(graph.adjacency(known), found.labels(known.source), num_communities=found.num_communities, config=config)
        for known in (ABOUT, HAS_INTEREST)
    )
    chosen = [first if len(first[0]) else second for first, second in zip(by_items, by_users, strict=True)]
    return [interests for interests, _ in chosen], [scores for _, scores in chosen]


def _over_represented(
    carries_NT: sp.csr_array, label_N: IntArray, *, num_communities: int, config: CommunityConfig
) -> list[tuple[IntArray, Floats]]:
    """Interests of each community and their scores: log-odds of carrying one inside against outside, in standard errors.

    With 1/2 added to each count (Haldane, 1956; Anscombe, 1956), so that an interest nobody outside has is no infinity.
    """
    placed = np.flatnonzero(label_N >= 0)
    ones = np.ones(len(placed))
    belongs_CN = sp.csr_array((ones, (label_N[placed], placed)), shape=(num_communities, len(label_N)))
    inside_CT = belongs_CN @ (carries_NT > 0).astype(np.float64)
    inside, everywhere_T = sp.coo_array(inside_CT), np.asarray(inside_CT.sum(axis=0)).reshape(-1)
    size_C = np.asarray(belongs_CN.sum(axis=1)).reshape(-1)
    with_in, with_out = inside.data, everywhere_T[inside.col] - inside.data
    without_in, without_out = size_C[inside.row] - with_in, len(placed) - size_C[inside.row] - with_out
    error = np.sqrt(sum(1.0 / (count + 0.5) for count in (with_in, with_out, without_in, without_out)))
    score = np.log((with_in + 0.5) * (without_out + 0.5) / ((with_out + 0.5) * (without_in + 0.5))) / error
    most_C = np.zeros(num_communities)
    np.maximum.at(most_C, inside.row, with_in)
    supported = with_in >= np.minimum(config.min_support, most_C[inside.row])
    return _strongest_each(
        inside.row[supported], inside.col[supported], score[supported], num_rows=num_communities, limit=config.num_interests
    )


def _strongest_each(row_M: IntArray, column_M: IntArray, score_M: Floats, *, num_rows: int, limit: int) -> list[tuple[IntArray, Floats]]:
    """Columns with a score above 0 of each row, best first, `limit` at most; the best one where none is above 0."""
    order = np.lexsort((column_M, -score_M, row_M))
    row_M, column_M, score_M = row_M[order], column_M[order], score_M[order]
    place_M = np.arange(len(row_M)) - np.searchsorted(row_M, row_M)
    kept = (place_M == 0) | ((place_M < limit) & (score_M > 0))
    ends = np.searchsorted(row_M[kept], np.arange(1, num_rows))
    # A split is never into nothing, not even of nothing.
    return list(zip(np.split(column_M[kept].astype(np.int64), ends), np.split(score_M[kept], ends), strict=True))[:num_rows]


def _strengths(found: Partition) -> Floats:
    """Share of each node's edge weight that stays in its community, shape [N]; 0 without an edge."""
    degree_N = np.asarray(found.weight_NN.sum(axis=1)).reshape(-1)
    strength_N = np.zeros(len(degree_N))
    np.divide(inside_weights(found), degree_N, out=strength_N, where=degree_N > 0)
    return np.minimum(strength_N, 1.0)


def _members(graph: InterestGraph, found: Partition, *, ids: Sequence[str], strength_N: Floats) -> pa.Table:
    parts = [COMMUNITY_MEMBERS.empty()]
    for place, node_type in enumerate(MEMBER_TYPES):
        label_M = found.labels(node_type)
        placed = np.flatnonzero(label_M >= 0)
        if not len(placed):
            continue
        columns = {
            "node_type": pa.repeat(pa.scalar(node_type), len(placed)),
            "node_id": graph.vocabularies[node_type].take(placed),
            "community_id": pa.array(ids, pa.string()).take(pa.array(label_M[placed])),
            "strength": strength_N[found.offsets[place] + placed],
        }
        parts.append(pa.table(columns).cast(COMMUNITY_MEMBERS.schema))
    return COMMUNITY_MEMBERS.conform(pa.concat_tables(parts))


def _placed(found: Partition, node_type: str) -> IntArray:
    labels = found.labels(node_type)
    return labels[labels >= 0]


def _interest_names(graph: InterestGraph, interest_points: pa.Table) -> tuple[list[str], list[bool]]:
    """Name of each interest of the graph (its id where no point names it), and which are themes."""
    ids = graph.vocabularies["interest"].ids if "interest" in graph.vocabularies else pa.array([], pa.string())
    place = pc.index_in(ids, value_set=interest_points.column("interest_id").combine_chunks())
    name, kind = (interest_points.column(column).combine_chunks().take(place) for column in ("name", "kind"))
    return pc.coalesce(name, ids).to_pylist(), pc.fill_null(pc.equal(kind, "theme"), False).to_pylist()
