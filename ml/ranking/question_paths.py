"""Why an item answers a question: the path its strongest message came by, and the same in words.

Every step is an edge of the graph; a path starts at a node that the question names or comes near to.
Shapes: K items explained, C of them that a message reached, S steps from the item back to the start.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import scipy.sparse as sp

from ml.ids import IntArray
from ml.ranking.pieces import put_together
from ml.ranking.question_graph import KINDS, Passed, QuestionGraph
from ml.ranking.sparse_rows import best_columns, values_at
from ml.ranking.wording import Language, fill, is_chinese

QUERY, NAMES, IS_NEAR = "query", "names", "is_near"


@dataclass(frozen=True)
class Explained:
    """A reason and a path per item; both empty where no message came."""

    reasons: list[str]
    paths: list[list[str]]


def explain_question(graph: QuestionGraph, passed: Passed, *, items: IntArray, language: Language) -> Explained:
    """The reasons of some items, by position. A path is ["query", "names" or "is_near", node, relation, node, ..., item]."""
    came = np.flatnonzero(passed.arrived_I[items] > 0)
    nodes_SC = _trace(graph, passed, items=items[came])
    relations_SC = [_relations(graph, left=left, right=right) for left, right in pairwise(nodes_SC)]
    length_C = (nodes_SC >= 0).sum(axis=0)
    start_C = nodes_SC[length_C - 1, np.arange(len(came))]
    reasons, paths = [""] * len(items), [list[str]() for _ in items]
    told = _words(graph, passed, relations_C=relations_SC[0], node_C=nodes_SC[1], start_C=start_C, language=language)
    for column, place in enumerate(came.tolist()):
        walked = [_label(graph, int(node)) for node in nodes_SC[: length_C[column], column]]
        edges = [relations[column] for relations in relations_SC[: length_C[column] - 1]]
        backwards = [part for pair in zip(walked, [*edges, ""], strict=True) for part in pair][:-1]
        how = NAMES if passed.named_N[start_C[column]] else IS_NEAR
        reasons[place], paths[place] = told[column], [QUERY, how, *reversed(backwards)]
    return Explained(reasons, paths)


def _trace(graph: QuestionGraph, passed: Passed, *, items: IntArray) -> IntArray:
    """From each item back along the strongest message of each layer until a node that matched, -1 behind it, shape [S, C]."""
    steps = [items]
    for state_N in reversed(passed.states):
        at_C = steps[-1]
        sent_CN = sp.csr_array(graph.adjacency_NN[np.maximum(at_C, 0)] @ sp.diags_array(passed.gate_N * state_N))
        goes_on_C = (at_C >= 0) & (passed.seed_N[at_C] == 0)
        steps.append(np.where(goes_on_C, best_columns(sent_CN), -1))
    return np.array(steps, dtype=np.int64)


def _relations(graph: QuestionGraph, *, left: IntArray, right: IntArray) -> list[str]:
    """What joins each pair of nodes most strongly; empty where a path has ended, shape [C]."""
    known = [edge_type.relation for edge_type in graph.relations]
    from_C, to_C = np.maximum(left, 0), np.maximum(right, 0)
    weights_RC = np.array([values_at(matrix, rows=from_C, columns=to_C) for matrix in graph.relations.values()])
    best_C = weights_RC.reshape(len(known), -1).argmax(axis=0) if known else np.zeros(0, dtype=np.int64)
    return [known[best] if is_step else "" for best, is_step in zip(best_C.tolist(), (right >= 0).tolist(), strict=True)]


def _words(
    graph: QuestionGraph, passed: Passed, *, relations_C: Sequence[str], node_C: IntArray, start_C: IntArray, language: Language
) -> list[str]:
    """One sentence per path: how the item is joined to the node beside it, and that to what the question matched."""
    node, start = _named(graph, node_C), _named(graph, start_C)
    relation = pc.utf8_capitalize(pc.replace_substring(pa.array(relations_C, pa.string()), "_", " "))
    chinese = is_chinese(node, language=language)
    is_named_C, is_short_C = passed.named_N[start_C], node_C == start_C
    pieces = []
    for name, chosen_C in (
        ("query_named", is_named_C & is_short_C),
        ("query_near", ~is_named_C & is_short_C),
        ("query_named_path", is_named_C & ~is_short_C),
        ("query_near_path", ~is_named_C & ~is_short_C),
    ):
        rows = np.flatnonzero(chosen_C)
        place = pa.array(rows)
        values = {"relation": relation.take(place), "node": node.take(place)} | ({"start": start.take(place)} if "path" in name else {})
        pieces.append((rows, fill(name, is_chinese=chinese.take(place), **values)))
    told: list[str] = put_together(pieces, dtype=pa.string()).to_pylist()
    return told


def _named(graph: QuestionGraph, nodes: IntArray) -> pa.Array:
    """What people call each node."""
    pieces = []
    for kind in KINDS:
        span = graph.nodes(kind)
        rows = np.flatnonzero((nodes >= span.start) & (nodes < span.stop))
        pieces.append((rows, graph.names.of(kind, graph.vocabularies[kind].take(nodes[rows] - span.start))))
    return put_together(pieces, dtype=pa.string())


def _label(graph: QuestionGraph, node: int) -> str:
    kind = next(kind for kind in reversed(KINDS) if node >= graph.start(kind) and len(graph.vocabularies[kind]))
    return f"{kind}:{graph.vocabularies[kind].ids[node - graph.start(kind)].as_py()}"
