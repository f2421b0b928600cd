"""Small graphs out of lists of edges."""

from collections.abc import Mapping, Sequence

import numpy as np

from ml.graph.interest_graph import NODE_TYPES, Edges, EdgeType, InterestGraph
from ml.ids import Vocabulary

Rows = Sequence[tuple[str, str, float]]


def graph_of(found: Mapping[EdgeType, Rows], *, alone: Mapping[str, Sequence[str]] | None = None) -> InterestGraph:
    """A graph of (source id, target id, weight) by edge type, and of nodes without edges."""
    ids: dict[str, list[str]] = {node_type: list((alone or {}).get(node_type, ())) for node_type in NODE_TYPES}
    for known, rows in found.items():
        ids[known.source] += [row[0] for row in rows]
        ids[known.target] += [row[1] for row in rows]
    nodes = {node_type: Vocabulary(node_type, known) for node_type, known in ids.items()}
    return InterestGraph(nodes, {known: edges_of(rows, known, nodes) for known, rows in found.items()})


def edges_of(rows: Rows, known: EdgeType, nodes: Mapping[str, Vocabulary]) -> Edges:
    """The rows as positions, in their order."""
    source = nodes[known.source].positions([row[0] for row in rows])
    target = nodes[known.target].positions([row[1] for row in rows])
    return Edges(source, target, np.array([row[2] for row in rows], dtype=np.float32))


def named(graph: InterestGraph, known: EdgeType) -> dict[tuple[str, str], float]:
    """Weight by both ids; nothing where the graph has no such edge."""
    if known not in graph.edges:
        return {}
    edges = graph.edges[known]
    source = graph.vocabularies[known.source].take(edges.source_index).to_pylist()
    target = graph.vocabularies[known.target].take(edges.target_index).to_pylist()
    return dict(zip(zip(source, target, strict=True), edges.weight.tolist(), strict=True))
