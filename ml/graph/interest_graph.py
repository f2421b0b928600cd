"""The interest graph in memory: vocabularies per node type, one edge list per relation.

Between the `interest_graph` table (ids) and models (positions). Building the
edges from marts is `ml.graph.build`; learning on them is `ml.models`.
"""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from ml.ids import FloatArray, IntArray, Vocabulary

NODE_TYPES = ("user", "item", "interest", "entity")


@dataclass(frozen=True)
class EdgeType:
    """What an edge joins: `source -relation-> target`."""

    source: str
    relation: str
    target: str


@dataclass(frozen=True)
class Edges:
    """Edges of one type. All arrays have shape [E]; weights are above 0."""

    source_index: IntArray
    target_index: IntArray
    weight: FloatArray

    def __len__(self) -> int:
        return len(self.weight)


@dataclass(frozen=True)
class InterestGraph:
    """Nodes by type and edges by type; every node index refers to `vocabularies`."""

    vocabularies: dict[str, Vocabulary]
    edges: dict[EdgeType, Edges]

    def num_nodes(self, node_type: str) -> int:
        """Nodes of a type (0 where the graph has none)."""
        return len(self.vocabularies[node_type]) if node_type in self.vocabularies else 0

    def adjacency(self, edge_type: EdgeType) -> sp.csr_array:
        """Weights as a sparse matrix, shape [sources, targets]."""
        shape = (self.num_nodes(edge_type.source), self.num_nodes(edge_type.target))
        if edge_type not in self.edges:
            return sp.csr_array(shape, dtype=np.float32)
        found = self.edges[edge_type]
        return sp.csr_array((found.weight, (found.source_index, found.target_index)), shape=shape, dtype=np.float32)
