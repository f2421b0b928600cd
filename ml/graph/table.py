"""The interest graph as the table `interest_graph`, and back.

The table holds edges only. Nodes without any come back where the reader hands in
the vocabularies it knows them from.
"""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ml.contracts.meaning import INTEREST_GRAPH
from ml.graph.grouping import rows_by_edge_type
from ml.graph.interest_graph import NODE_TYPES, Edges, EdgeType, InterestGraph
from ml.ids import Vocabulary


def graph_to_table(graph: InterestGraph) -> pa.Table:
    """One row per edge, in order of edge type, source id, target id."""
    parts = [INTEREST_GRAPH.empty()]
    for edge_type in sorted(graph.edges, key=lambda known: (known.source, known.relation, known.target)):
        edges = graph.edges[edge_type]
        columns = {
            "source_type": _repeat(edge_type.source, len(edges)),
            "source_id": graph.vocabularies[edge_type.source].take(edges.source_index),
            "relation": _repeat(edge_type.relation, len(edges)),
            "target_type": _repeat(edge_type.target, len(edges)),
            "target_id": graph.vocabularies[edge_type.target].take(edges.target_index),
            "weight": edges.weight.astype(np.float64),
        }
        parts.append(pa.table(columns).cast(INTEREST_GRAPH.schema))
    return INTEREST_GRAPH.conform(pa.concat_tables(parts))


def graph_from_table(table: pa.Table, *, vocabularies: Mapping[str, Vocabulary] | None = None) -> InterestGraph:
    """The graph of a table's edges; node types not in `vocabularies` hold the nodes that have edges.

    With the vocabularies the graph was built with, `graph_to_table` is undone exactly.
    Raises `UnknownIdError` for an edge's end outside a given vocabulary.
    """
    known = vocabularies or {}
    nodes = {node_type: known[node_type] if node_type in known else _nodes(table, node_type=node_type) for node_type in NODE_TYPES}
    grouped = rows_by_edge_type(table, source_type="source_type", relation="relation", target_type="target_type")
    return InterestGraph(nodes, {edge_type: _edges(rows, edge_type=edge_type, nodes=nodes) for edge_type, rows in grouped})


def _edges(rows: pa.Table, *, edge_type: EdgeType, nodes: Mapping[str, Vocabulary]) -> Edges:
    source = nodes[edge_type.source].positions(rows.column("source_id"))
    target = nodes[edge_type.target].positions(rows.column("target_id"))
    order = np.lexsort((target, source))
    return Edges(source[order], target[order], np.asarray(rows.column("weight"), dtype=np.float32)[order])


def _nodes(table: pa.Table, *, node_type: str) -> Vocabulary:
    sources = table.filter(pc.equal(table.column("source_type"), node_type)).column("source_id")
    targets = table.filter(pc.equal(table.column("target_type"), node_type)).column("target_id")
    return Vocabulary(node_type, pa.chunked_array([*sources.chunks, *targets.chunks], pa.string()))


def _repeat(value: str, count: int) -> pa.Array:
    return pa.repeat(pa.scalar(value), count)
