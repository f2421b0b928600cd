"""Leaves out edges that say nothing new or next to nothing, and says how many of each went and why.

Every rule looks at a graph and says which edges stay; the next rule sees what the one before left. No
rule takes the strongest behaviour edge of a user or an item. Building edges is `ml.graph.build`. Shapes: E edges, N nodes.
"""

from collections.abc import Callable, Mapping

import numpy as np
import pyarrow as pa

from ml.config.pipeline import GraphConfig
from ml.graph.edge_types import ABOUT, BEHAVIOUR, HAS_INTEREST, SIMILAR, SYMMETRIC, WITHIN
from ml.graph.hierarchy import ancestor_pairs
from ml.graph.interest_graph import Edges, EdgeType, InterestGraph
from ml.ids import BoolArray, FloatArray, IntArray, pair_starts

Kept = dict[EdgeType, BoolArray]
Rule = Callable[[InterestGraph, GraphConfig], Kept]

REPORT = pa.schema([
    ("relation", pa.string()),
    ("reason", pa.string()),
    ("num_before", pa.int64()),
    ("num_removed", pa.int64()),
    ("share", pa.float64()),
])  # fmt: skip

# Two relations with the same few edges may mean different things; with so many they do not.
_SAME_BY_CHANCE = 20


def prune(graph: InterestGraph, *, config: GraphConfig) -> tuple[InterestGraph, pa.Table]:
    """The graph without redundant and noisy edges, and the report: a row per relation and reason that took any.

    Nodes stay; edges of each type come sorted by source, then target.
    """
    edges = {edge_type: _sorted(found) for edge_type, found in graph.edges.items()}
    rows: list[dict[str, object]] = []
    for reason, rule in RULES.items():
        for edge_type, kept_E in rule(InterestGraph(graph.vocabularies, edges), config).items():
            if not kept_E.all():
                rows.append(_row(edge_type, reason, kept_E))
                edges[edge_type] = _take(edges[edge_type], kept_E)
    left = {edge_type: found for edge_type, found in edges.items() if len(found)}
    return InterestGraph(graph.vocabularies, left), pa.Table.from_pylist(rows, schema=REPORT)


def _repeated(graph: InterestGraph, _: GraphConfig) -> Kept:
    """Of edges between the same two nodes by the same relation, the strongest stays."""
    return {edge_type: _firsts(edges) for edge_type, edges in graph.edges.items()}


def _both_directions(graph: InterestGraph, _: GraphConfig) -> Kept:
    """Of a symmetric relation, the direction from the lower position; a node is not joined to itself."""
    found = {}
    for edge_type in set(SYMMETRIC) & set(graph.edges):
        edges, num_nodes = graph.edges[edge_type], graph.num_nodes(edge_type.source)
        key_E = edges.source_index * num_nodes + edges.target_index
        has_reverse_E = np.isin(edges.target_index * num_nodes + edges.source_index, key_E)
        is_back_E = edges.source_index > edges.target_index
        found[edge_type] = ~(is_back_E & has_reverse_E) & (edges.source_index != edges.target_index)
    return found


def _same_relation(graph: InterestGraph, _: GraphConfig) -> Kept:
    """Of relations whose edges are all the same, or all the same the other way round, the first by name stays."""
    seen: set[tuple[str, str, bytes]] = set()
    found = {}
    for edge_type, edges in sorted(graph.edges.items(), key=lambda known: known[0].relation):
        forth = (edge_type.source, edge_type.target, _ends(edges.source_index, edges.target_index))
        back = (edge_type.target, edge_type.source, _ends(edges.target_index, edges.source_index))
        if len(edges) >= _SAME_BY_CHANCE and forth in seen:
            found[edge_type] = np.zeros(len(edges), dtype=np.bool_)
        seen |= {forth, back}
    return found


def _faint(graph: InterestGraph, config: GraphConfig) -> Kept:
    """Below `min_edge_weight`; behaviour below that share of its user's strongest, unless it is its item's strongest."""
    found = {known: graph.edges[known].weight >= config.min_edge_weight for known in (ABOUT, HAS_INTEREST) if known in graph.edges}
    done = [known for known in BEHAVIOUR if known in graph.edges]
    strongest_U = _strongest(graph, [(known, graph.edges[known].source_index) for known in done], num_nodes=graph.num_nodes("user"))
    strongest_I = _strongest(graph, [(known, graph.edges[known].target_index) for known in done], num_nodes=graph.num_nodes("item"))
    for known in done:
        edges = graph.edges[known]
        is_clear_E = edges.weight >= min(config.min_edge_weight, 1.0) * strongest_U[edges.source_index]
        found[known] = is_clear_E | (edges.weight >= strongest_I[edges.target_index])
    return found


def _implied(graph: InterestGraph, config: GraphConfig) -> Kept:
    """An interest whose part the same node holds at least as strongly goes without saying."""
    if not config.prune_implied or WITHIN not in graph.edges:
        return {}
    num_interests = graph.num_nodes("interest")
    found = {}
    for edge_type in {ABOUT, HAS_INTEREST} & set(graph.edges):
        edges = graph.edges[edge_type]
        implied_E = np.zeros(len(edges), dtype=np.float32)
        for level_TT in ancestor_pairs(graph.edges[WITHIN], num_interests=num_interests):
            _raise_to_parts(implied_E, edges, starts_T=level_TT.indptr, above_P=level_TT.indices, num_interests=num_interests)
        found[edge_type] = implied_E < edges.weight
    return found


def _crowded(graph: InterestGraph, config: GraphConfig) -> Kept:
    """A node keeps its strongest edges of a relation; an edge stays where both ends keep it, or is the strongest of one."""
    found = {}
    for known in {SIMILAR, ABOUT, HAS_INTEREST} & set(graph.edges):
        edges = graph.edges[known]
        place_E, place_back_E = (_places(ends_E, edges.weight) for ends_E in (edges.source_index, edges.target_index))
        most = config.max_edges_per_node
        found[known] = ((place_E < most) & (place_back_E < most)) | (place_E == 0) | (place_back_E == 0)
    return found


RULES: Mapping[str, Rule] = {
    "repeated": _repeated,
    "the other direction of a symmetric relation": _both_directions,
    "same edges as another relation": _same_relation,
    "faint": _faint,
    "implied by a part": _implied,
    "beyond a node's strongest": _crowded,
}


def _raise_to_parts(implied_E: FloatArray, edges: Edges, *, starts_T: IntArray, above_P: IntArray, num_interests: int) -> None:
    """Raise each edge's `implied_E` to the strongest edge of its node to an interest that many levels below."""
    num_above_E = np.diff(starts_T)[edges.target_index]
    part_P = np.repeat(np.arange(len(edges)), num_above_E)
    step_P = np.arange(len(part_P)) - np.repeat(np.cumsum(num_above_E) - num_above_E, num_above_E)
    whole_P = above_P[starts_T[edges.target_index[part_P]] + step_P]
    key_E = edges.source_index * num_interests + edges.target_index
    key_P = edges.source_index[part_P] * num_interests + whole_P
    place_P = np.minimum(np.searchsorted(key_E, key_P), max(len(edges) - 1, 0))
    held = key_E[place_P] == key_P
    np.maximum.at(implied_E, place_P[held], edges.weight[part_P[held]])


def _strongest(graph: InterestGraph, ends: list[tuple[EdgeType, IntArray]], *, num_nodes: int) -> FloatArray:
    strongest_N = np.zeros(num_nodes, dtype=np.float32)
    for known, index_E in ends:
        np.maximum.at(strongest_N, index_E, graph.edges[known].weight)
    return strongest_N


def _places(node_E: IntArray, weight_E: FloatArray) -> IntArray:
    """Place of each edge among its node's, 0 the strongest; ties in order."""
    order = np.lexsort((np.arange(len(node_E)), -weight_E, node_E))
    place_E = np.empty(len(node_E), dtype=np.int64)
    place_E[order] = np.arange(len(node_E)) - np.searchsorted(node_E[order], node_E[order])
    return place_E


def _firsts(edges: Edges) -> BoolArray:
    kept_E = np.zeros(len(edges), dtype=np.bool_)
    kept_E[pair_starts(edges.source_index, edges.target_index)] = True
    return kept_E


def _ends(left_E: IntArray, right_E: IntArray) -> bytes:
    order = np.lexsort((right_E, left_E))
    return np.stack([left_E[order], right_E[order]]).tobytes()


def _sorted(edges: Edges) -> Edges:
    """By source, then target, then the strongest first."""
    return _take(edges, np.lexsort((-edges.weight, edges.target_index, edges.source_index)))


def _take(edges: Edges, chosen: IntArray | BoolArray) -> Edges:
    return Edges(edges.source_index[chosen], edges.target_index[chosen], edges.weight[chosen])


def _row(edge_type: EdgeType, reason: str, kept_E: BoolArray) -> dict[str, object]:
    num_removed = int(np.count_nonzero(~kept_E))
    label = f"{edge_type.source} -{edge_type.relation}-> {edge_type.target}"
    return {"relation": label, "reason": reason, "num_before": len(kept_E), "num_removed": num_removed, "share": num_removed / len(kept_E)}
