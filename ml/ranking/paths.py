"""Paths as the lists of strings that tables hold: node, relation, node, ...; a node is `type:id`.

A path may walk an edge against its direction: ["user:u1", "has_interest",
"interest:tag:hiking", "about", "item:i9"] ends with the edge item -about-> interest.
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ml.contracts.contract import STRINGS
from ml.graph.build import ABOUT, HAS_INTEREST, INTERACTED
from ml.graph.interest_graph import Edges, EdgeType, InterestGraph
from ml.ids import IntArray
from ml.ranking.pieces import put_together
from ml.ranking.reasons import ENTITY, INTEREST, LINK, NONE, OTHERS, Reasons


def build_paths(graph: InterestGraph, reasons: Reasons, *, user_N: IntArray, item_N: IntArray) -> pa.Array:
    """The path of each pair's reason, a list of strings per row, empty where there is none; shape [N]."""
    builders = {INTEREST: _interest_path, ENTITY: _entity_path, LINK: _link_path, OTHERS: _others_path}
    without = np.flatnonzero(reasons.kind_N == NONE)
    pieces = [(without, pa.array([[]] * len(without), STRINGS))]
    for kind, build in builders.items():
        rows = np.flatnonzero(reasons.kind_N == kind)
        ends = _labels(graph, "user", user_N[rows]), _labels(graph, "item", item_N[rows])
        pieces.append((rows, build(graph, reasons, rows, *ends)))
    return put_together(pieces, dtype=STRINGS)


def path_exists(graph: InterestGraph, path: Sequence[str]) -> bool:
    """Whether `path` has at least one edge and every edge of it is in the graph, in either direction."""
    if len(path) < 3 or len(path) % 2 == 0:
        return False
    nodes = [_parse(node) for node in path[::2]]
    return all(_edge_exists(graph, nodes[step], path[2 * step + 1], nodes[step + 1]) for step in range(len(nodes) - 1))


def _interest_path(graph: InterestGraph, reasons: Reasons, rows: IntArray, user: pa.Array, item: pa.Array) -> pa.Array:
    return _joined([user, HAS_INTEREST.relation, _labels(graph, "interest", reasons.interest_N[rows]), ABOUT.relation, item])


def _entity_path(graph: InterestGraph, reasons: Reasons, rows: IntArray, user: pa.Array, item: pa.Array) -> pa.Array:
    liked, entity = _labels(graph, "item", reasons.liked_N[rows]), _labels(graph, "entity", reasons.entity_N[rows])
    relation = reasons.relations(rows)
    return _joined([user, INTERACTED.relation, liked, relation, entity, relation, item])


def _link_path(graph: InterestGraph, reasons: Reasons, rows: IntArray, user: pa.Array, item: pa.Array) -> pa.Array:
    return _joined([user, INTERACTED.relation, _labels(graph, "item", reasons.liked_N[rows]), reasons.relations(rows), item])


def _others_path(graph: InterestGraph, reasons: Reasons, rows: IntArray, user: pa.Array, item: pa.Array) -> pa.Array:
    liked, other = _labels(graph, "item", reasons.liked_N[rows]), _labels(graph, "user", reasons.other_N[rows])
    return _joined([user, INTERACTED.relation, liked, INTERACTED.relation, other, INTERACTED.relation, item])


def _labels(graph: InterestGraph, node_type: str, positions: IntArray) -> pa.Array:
    if not len(positions):
        return pa.array([], pa.string())
    return pc.binary_join_element_wise(node_type, graph.vocabularies[node_type].take(positions), ":")


def _joined(parts: Sequence[pa.Array | str]) -> pa.Array:
    """One list per row out of columns and constants."""
    num_rows = next(len(part) for part in parts if not isinstance(part, str))
    columns = [pa.repeat(pa.scalar(part), num_rows) if isinstance(part, str) else part for part in parts]
    by_row = np.arange(len(parts) * num_rows).reshape(len(parts), num_rows).T.reshape(-1)
    offsets = pa.array(np.arange(num_rows + 1) * len(parts), pa.int32())
    return pa.ListArray.from_arrays(offsets, pa.concat_arrays(columns).take(pa.array(by_row)))


def _parse(node: str) -> tuple[str, str]:
    node_type, _, identifier = node.partition(":")
    return node_type, identifier


def _edge_exists(graph: InterestGraph, left: tuple[str, str], relation: str, right: tuple[str, str]) -> bool:
    return _directed_edge_exists(graph, left, relation, right) or _directed_edge_exists(graph, right, relation, left)


def _directed_edge_exists(graph: InterestGraph, source: tuple[str, str], relation: str, target: tuple[str, str]) -> bool:
    edges = graph.edges.get(EdgeType(source[0], relation, target[0]))
    return edges is not None and _holds(edges, source=_position(graph, source), target=_position(graph, target))


def _position(graph: InterestGraph, node: tuple[str, str]) -> int:
    positions, _ = graph.vocabularies[node[0]].find([node[1]])
    return int(positions[0])


def _holds(edges: Edges, *, source: int, target: int) -> bool:
    return bool(np.any((edges.source_index == source) & (edges.target_index == target)))
