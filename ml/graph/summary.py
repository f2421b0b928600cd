"""The interest graph in a few numbers, for people and for metadata.

Only counts and shares of what `ml.graph.interest_graph` holds; no plots, no text.
"""

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components

from ml.graph.interest_graph import NODE_TYPES, InterestGraph
from ml.ids import IntArray

QUANTILES = {"median": 0.5, "p90": 0.9, "max": 1.0}


def summarise(graph: InterestGraph) -> dict[str, int | float]:
    """Flat names to numbers, always in the same order.

    `nodes/<type>`, `edges/<source>-<relation>-<target>`, `degree/<type>/<quantile>` (edges of any
    type and direction per node), `components`, and the shares of all nodes that are in the
    `largest_component_share` and that are `isolated_share`.
    """
    ends = _edge_ends(graph)
    counts: dict[str, int | float] = {f"nodes/{node_type}": graph.num_nodes(node_type) for node_type in NODE_TYPES}
    for edge_type, edges in graph.edges.items():
        counts[f"edges/{edge_type.source}-{edge_type.relation}-{edge_type.target}"] = len(edges)
    degrees = np.bincount(np.concatenate(ends), minlength=_offsets(graph)[-1])
    return {**counts, **_degree_quantiles(graph, degrees=degrees), **_components(*ends, degrees=degrees)}


def _offsets(graph: InterestGraph) -> IntArray:
    return np.cumsum([0, *(graph.num_nodes(node_type) for node_type in NODE_TYPES)])


def _edge_ends(graph: InterestGraph) -> tuple[IntArray, IntArray]:
    """Sources and targets of all edges as positions among all nodes, types one after another."""
    offset = dict(zip(NODE_TYPES, _offsets(graph), strict=False))
    none = np.zeros(0, dtype=np.int64)
    sources = [edges.source_index + offset[edge_type.source] for edge_type, edges in graph.edges.items()]
    targets = [edges.target_index + offset[edge_type.target] for edge_type, edges in graph.edges.items()]
    return np.concatenate([none, *sources]), np.concatenate([none, *targets])


def _degree_quantiles(graph: InterestGraph, *, degrees: IntArray) -> dict[str, float]:
    offsets = _offsets(graph)
    found: dict[str, float] = {}
    for position, node_type in enumerate(NODE_TYPES):
        of_type = degrees[offsets[position] : offsets[position + 1]]
        if len(of_type):
            found |= {f"degree/{node_type}/{name}": float(np.quantile(of_type, share)) for name, share in QUANTILES.items()}
    return found


def _components(source: IntArray, target: IntArray, *, degrees: IntArray) -> dict[str, int | float]:
    num_nodes = len(degrees)
    if not num_nodes:
        return {"components": 0, "largest_component_share": 0.0, "isolated_share": 0.0}
    links = sp.csr_array((np.ones(len(source), dtype=np.int32), (source, target)), shape=(num_nodes, num_nodes))
    num_components, component = connected_components(links, directed=False)
    largest = float(np.bincount(component).max() / num_nodes)
    return {"components": int(num_components), "largest_component_share": largest, "isolated_share": float(np.mean(degrees == 0))}
