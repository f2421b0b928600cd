"""Communities: users, items and interests that hang together, by Leiden on all three at once.

Traag, Waltman & van Eck, "From Louvain to Leiden: guaranteeing well-connected communities", Scientific
Reports 9, 2019. The graph itself is cut, not its projection on items, in which a user of n likes would be n^2
edges and users and interests would have to be told where they belong afterwards. Shapes: N nodes, E edges, C communities.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components
from sknetwork.clustering import Leiden

from ml.graph.edge_types import ABOUT, HAS_INTEREST, INTERACTED
from ml.graph.interest_graph import InterestGraph
from ml.ids import IntArray

MEMBER_TYPES = ("user", "item", "interest")
JOINED_BY = (INTERACTED, HAS_INTEREST, ABOUT)
NO_COMMUNITY = -1

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Partition:
    """Nodes one type after another (`MEMBER_TYPES`), how they are joined, and each one's community.

    `label_N` numbers communities by falling number of members, -1 for a node without an edge; `weight_NN` is symmetric.
    """

    offsets: IntArray
    weight_NN: sp.csr_array
    label_N: IntArray

    @property
    def num_communities(self) -> int:
        """How many there are."""
        return int(self.label_N.max(initial=NO_COMMUNITY)) + 1

    def labels(self, node_type: str) -> IntArray:
        """Community of each node of a type, in vocabulary order."""
        place = MEMBER_TYPES.index(node_type)
        return self.label_N[self.offsets[place] : self.offsets[place + 1]]


def communities_of(graph: InterestGraph, *, resolution: float, seed: int) -> dict[str, IntArray]:
    """Community of each user, item and interest by node type, -1 for one that no like, interest or topic joins to anything.

    Only what `graph` holds is looked at: of a graph as of a moment, nothing of later enters.
    """
    found = partition(graph, resolution=resolution, seed=seed)
    return {node_type: found.labels(node_type) for node_type in MEMBER_TYPES}


def partition(graph: InterestGraph, *, resolution: float, seed: int) -> Partition:
    """The communities of a graph's likes, interests and topics; the same graph and seed give the same ones."""
    offsets = np.cumsum([0, *(graph.num_nodes(node_type) for node_type in MEMBER_TYPES)])
    weight_NN = _joined(graph, offsets=offsets)
    label_N = np.full(offsets[-1], NO_COMMUNITY, dtype=np.int64)
    placed = np.flatnonzero(np.diff(weight_NN.indptr))
    if len(placed):
        inner = weight_NN[placed][:, placed]
        rough = _DeterministicLeiden(resolution=resolution, shuffle_nodes=True, random_state=seed, sort_clusters=False)
        label_N[placed] = _by_size(_connected(inner, rough.fit_predict(sp.csr_matrix(inner))))
    return Partition(offsets, weight_NN, label_N)


def modularity(found: Partition, *, resolution: float) -> float:
    """Share of weight inside communities, minus what chance would put there: sum of `w_c / 2m - resolution (d_c / 2m)^2`; 0 of no edge."""
    total = float(found.weight_NN.sum())
    if not total:
        return 0.0
    degree_N = np.asarray(found.weight_NN.sum(axis=1)).reshape(-1)
    placed = found.label_N >= 0
    degree_C = np.bincount(found.label_N[placed], weights=degree_N[placed])
    inside = float(inside_weights(found).sum())
    return inside / total - resolution * float(np.square(degree_C / total).sum())


def inside_weights(found: Partition) -> Floats:
    """Weight of each node's edges that stay in its community, shape [N]."""
    same = _within_labels(found.weight_NN, found.label_N)
    return np.asarray(same.sum(axis=1), dtype=np.float64).reshape(-1)


def between_communities(found: Partition) -> sp.csr_array:
    """Weight of edges between communities, those inside on the diagonal, shape [C, C]."""
    placed = np.flatnonzero(found.label_N >= 0)
    ones = np.ones(len(placed))
    belongs_NC = sp.csr_array((ones, (placed, found.label_N[placed])), shape=(len(found.label_N), found.num_communities))
    return sp.csr_array(belongs_NC.T @ found.weight_NN @ belongs_NC)


class _DeterministicLeiden(Leiden):  # type: ignore[misc]
    """Leiden whose refinement takes the best merge instead of a random good one.

    scikit-network draws that merge by the C library's rand(), which no seed of its own reaches: the second fit of a
    process differs from the first. The best merge is the paper's rule at temperature 0.
    """

    def _optimize_refine(
        self, labels: IntArray, labels_refined: IntArray, adjacency: sp.csr_matrix, out_weights: Floats, in_weights: Floats
    ) -> IntArray:
        """Communities within communities: the local search again, along the edges inside alone."""
        inside = sp.csr_matrix(_within_labels(adjacency, labels))
        refined: IntArray = self._optimize(labels_refined, inside, out_weights, in_weights)[0]
        return refined


def _joined(graph: InterestGraph, *, offsets: IntArray) -> sp.csr_array:
    """All edges both ways, each relation's weights summing to 1, so that none drowns the others by its size; shape [N, N]."""
    num_nodes = int(offsets[-1])
    start = dict(zip(MEMBER_TYPES, offsets, strict=False))
    weight_NN = sp.csr_array((num_nodes, num_nodes), dtype=np.float64)
    for known in JOINED_BY:
        if known in graph.edges:
            edges = graph.edges[known]
            weight_E = edges.weight / edges.weight.sum(dtype=np.float64)
            ends = (edges.source_index + start[known.source], edges.target_index + start[known.target])
            weight_NN = weight_NN + sp.csr_array((weight_E, ends), shape=(num_nodes, num_nodes))
    return sp.csr_array(weight_NN + weight_NN.T)


def _within_labels(weight_NN: sp.csr_array, label_N: IntArray) -> sp.csr_array:
    """The edges between nodes of one label."""
    every = sp.coo_array(weight_NN)
    same = label_N[every.row] == label_N[every.col]
    return sp.csr_array((every.data[same], (every.row[same], every.col[same])), shape=weight_NN.shape)


def _connected(weight_NN: sp.csr_array, label_N: IntArray) -> IntArray:
    """Labels of which none falls into pieces: moving its last bridge away can leave a community in two."""
    label: IntArray = connected_components(_within_labels(weight_NN, label_N), directed=False)[1].astype(np.int64)
    return label


def _by_size(label_N: IntArray) -> IntArray:
    """Labels numbered by falling size; ties by their first member."""
    _, first_C, label_N, size_C = np.unique(label_N, return_index=True, return_inverse=True, return_counts=True)
    rank_C = np.empty(len(size_C), dtype=np.int64)
    rank_C[np.lexsort((first_C, -size_C))] = np.arange(len(size_C))
    return rank_C[label_N.reshape(-1)]
