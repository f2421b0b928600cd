"""A question passed as a message over the graph: from the nodes it names or comes near to, along edges, to items.

Personalised propagation as in APPNP (Gasteiger et al., ICLR 2019), each node passing on by its likeness to the
question (QA-GNN, Yasunaga et al., NAACL 2021; NBFNet, Zhu et al., NeurIPS 2021). Putting paths into words is
`question_paths`. Shapes: N nodes (items, interests, entities in this order), I items, D dimension, L layers, E edges.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import scipy.sparse as sp

from ml.config.pipeline import QuestionConfig
from ml.contracts.vectors import vectors_to_matrix
from ml.graph.interest_graph import EdgeType, InterestGraph
from ml.graph.normalisation import normalize_symmetric
from ml.ids import BoolArray, FloatArray, Vocabulary
from ml.ranking.matching import cosines, name_key, searched
from ml.ranking.names import Names

Numbers = npt.NDArray[np.float64]

KINDS = ("item", "interest", "entity")
# Standard deviations above the mean cosine of its kind from which a node is near: a bar that fits every encoder.
_NEAR_BAR = 1.5


@dataclass(frozen=True)
class QuestionGraph:
    """What is known of things, users left out: nodes with names and vectors, and edges both ways, normalised by relation."""

    vocabularies: Mapping[str, Vocabulary]
    vectors_ND: FloatArray
    names: Names
    keys: tuple[str, ...]
    relations: Mapping[EdgeType, sp.csr_array]
    adjacency_NN: sp.csr_array

    def start(self, kind: str) -> int:
        """The position of a kind's first node."""
        return sum(len(self.vocabularies[before]) for before in KINDS[: KINDS.index(kind)])

    def nodes(self, kind: str) -> slice:
        """The positions of a kind's nodes."""
        return slice(self.start(kind), self.start(kind) + len(self.vocabularies[kind]))


@dataclass(frozen=True)
class Passed:
    """What one question's messages came to: `arrived_I` in [0, 1]; the rest says how.

    `seed_N` is what each node got at the start, `named_N` whether the text names it, `gate_N` what it passes
    on by, `states` the messages before each layer.
    """

    arrived_I: FloatArray
    seed_N: Numbers
    named_N: BoolArray
    gate_N: Numbers
    states: tuple[Numbers, ...]


def build_question_graph(graph: InterestGraph, *, item_embeddings: pa.Table, interest_points: pa.Table, names: Names) -> QuestionGraph:
    """The graph without users; an item's vector is its text's, an interest's its own, an entity's the mean of its items'.

    Nodes are those of the graph; edges of users are left out if there are any. A node without a vector passes
    messages on only where the text names it.
    """
    vocabularies = {kind: graph.vocabularies[kind] if kind in graph.vocabularies else Vocabulary(kind, []) for kind in KINDS}
    starts = dict(zip(KINDS, np.cumsum([0, *(len(vocabularies[kind]) for kind in KINDS[:-1])]).tolist(), strict=True))
    num_nodes = sum(map(len, vocabularies.values()))
    relations = {known: _both_ways(graph, known, starts=starts, num_nodes=num_nodes) for known in _relations(graph)}
    adjacency_NN = sp.csr_array((num_nodes, num_nodes), dtype=np.float64)
    for matrix in relations.values():
        adjacency_NN = adjacency_NN + matrix
    items_ND = _rows(item_embeddings, "item_id", vocabulary=vocabularies["item"])
    interests_ND = _rows(interest_points, "interest_id", vocabulary=vocabularies["interest"])
    first = starts["entity"]
    carries_EI = sp.csr_array(adjacency_NN[first:, : len(items_ND)]).astype(bool).astype(np.float32)
    known = [vectors for vectors in (items_ND, interests_ND) if vectors.shape[1]]
    width = known[0].shape[1] if known else 0
    vectors_ND = np.concatenate([_wide(part, width) for part in (items_ND, interests_ND, carries_EI @ _wide(items_ND, width))])
    keys = [name_key(name) for kind in KINDS[1:] for name in names.of(kind, vocabularies[kind].ids).to_pylist()]
    return QuestionGraph(vocabularies, vectors_ND, names, ("",) * len(items_ND) + tuple(keys), relations, sp.csr_array(adjacency_NN))


def pass_question(graph: QuestionGraph, query_vector: FloatArray, *, text: str, config: QuestionConfig) -> Passed:
    """How much of the question reaches each item over edges; 0 for an item without any, and for a question that matches nothing.

    Messages carry the question's vector and are only scaled and summed, so that its factor is all there is to compute:
    h' = restart x seed + (1 - restart) x A (gate x h), with A the sum of the relations, each `D^-1/2 W D^-1/2`.
    Arrived is what the last layer brought, over the largest, times the largest seed: a faint match never shouts.
    """
    cosine_N = cosines(query_vector, graph.vectors_ND).astype(np.float64) if graph.vectors_ND.shape[1] else np.zeros(len(graph.keys))
    coverage_N = _coverage(graph.keys, text=text)
    seed_N = np.maximum(coverage_N, _near(graph, cosine_N, config=config) * (1.0 - coverage_N.max(initial=0.0)))
    gate_N = np.clip(np.maximum(cosine_N, coverage_N), 0.0, 1.0) ** config.gate_power
    states, brought_N = [seed_N], np.zeros_like(seed_N)
    for layer in range(config.num_layers):
        brought_N = (1.0 - config.restart) * (graph.adjacency_NN @ (gate_N * states[-1]))
        if layer + 1 < config.num_layers:
            states.append(config.restart * seed_N + brought_N)
    arrived_I = brought_N[graph.nodes("item")]
    largest = arrived_I.max(initial=0.0)
    scaled_I = arrived_I / largest * seed_N.max(initial=0.0) if largest > 0 else np.zeros_like(arrived_I)
    return Passed(scaled_I.astype(np.float32), seed_N, coverage_N > 0, gate_N, tuple(states))


def _relations(graph: InterestGraph) -> list[EdgeType]:
    among = [known for known in graph.edges if known.source in KINDS and known.target in KINDS]
    return sorted(among, key=lambda known: (known.source, known.relation, known.target))


def _both_ways(graph: InterestGraph, known: EdgeType, *, starts: Mapping[str, int], num_nodes: int) -> sp.csr_array:
    # float64: sums of messages are the same in any order of nodes, to far below what is shown.
    edges = sp.coo_array(normalize_symmetric(graph.adjacency(known)).astype(np.float64))
    place = (edges.row + starts[known.source], edges.col + starts[known.target])
    forth_NN = sp.csr_array((edges.data, place), shape=(num_nodes, num_nodes))
    return sp.csr_array(forth_NN + forth_NN.T)


def _rows(table: pa.Table, column: str, *, vocabulary: Vocabulary) -> FloatArray:
    """Vectors in the order of a vocabulary, zeros where there is none."""
    vectors = vectors_to_matrix(table.column("vector"))
    place, is_known = vocabulary.find(table.column(column))
    rows = np.zeros((len(vocabulary), vectors.shape[1]), dtype=np.float32)
    rows[place[is_known]] = vectors[is_known]
    return rows


def _wide(rows: FloatArray, width: int) -> FloatArray:
    return rows if rows.shape[1] == width else np.zeros((len(rows), width), dtype=np.float32)


def _coverage(keys: Iterable[str], *, text: str) -> Numbers:
    """Of the letters of a text, the share that each name in it makes up; 0 for a name that is not in it."""
    told = searched(text)
    named = [len("".join(key.split())) if key and key in told else 0 for key in keys]
    num_letters = max(len("".join(name_key(text).split())), 1)
    return np.minimum(np.array(named, dtype=np.float64) / num_letters, 1.0)


def _near(graph: QuestionGraph, cosine_N: Numbers, *, config: QuestionConfig) -> Numbers:
    """For the nearest interests and entities, how far they are above the bar of their kind, times `near_weight`; else 0."""
    near_N = np.zeros_like(cosine_N)
    for kind in KINDS[1:]:
        cosine = cosine_N[graph.nodes(kind)]
        bar = max(float(cosine.mean() + _NEAR_BAR * cosine.std()), 0.0) if len(cosine) else 0.0
        excess = np.maximum(cosine - bar, 0.0) / max(1.0 - bar, 1e-6)
        near_N[graph.nodes(kind)] = np.where(excess >= _least_kept(excess, count=config.num_near), excess, 0.0)
    return config.near_weight * near_N


def _least_kept(values: Numbers, *, count: int) -> float:
    """The `count`-th largest value, so that ties at it are all kept; infinite for none."""
    if count == 0:
        return np.inf
    return float(-np.partition(-values, count - 1)[count - 1]) if len(values) > count else 0.0
