"""A world without some edges: what models are asked when an explanation is put to the test.

Edges are named as paths name them (`ml.ranking.paths`). What users met stays: they forget a like, not the item.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np
import scipy.sparse as sp

from ml.graph.edge_types import ABOUT, HAS_INTEREST, INTERACTED
from ml.graph.interest_graph import Edges, EdgeType, InterestGraph
from ml.ids import BoolArray, Vocabulary
from ml.models.histories import Histories
from ml.models.inputs import ModelInputs

# Node, relation, node, as two neighbouring nodes of a path; either direction.
Step = tuple[str, str, str]


def steps_of(path: Sequence[str]) -> list[Step]:
    """The edges of a path of 3, 5, 7, ... labels."""
    return [(path[place], path[place + 1], path[place + 2]) for place in range(0, len(path) - 2, 2)]


def without_path(inputs: ModelInputs, path: Sequence[str]) -> ModelInputs:
    """The inputs without every edge of `path`.

    A like goes from `positives_UI` and from the graph, `seen_UI` keeps the pair. `has_interest` is derived from likes: with it go the
    user's likes of items about that interest, as they stand in the graph, for else it would be there again the next day.
    Raises `UnknownIdError` for a node that is not there.
    """
    return without_edges(inputs, [step for one in steps_of(path) for step in (one, *_derived_from(inputs, one))])


def without_edges(inputs: ModelInputs, steps: Collection[Step]) -> ModelInputs:
    """The inputs without these edges; an edge that is not there is no error."""
    likes = [
        step for step in steps if step[1] == INTERACTED.relation and {step[0].split(":")[0], step[2].split(":")[0]} == {"user", "item"}
    ]
    pairs = [sorted((step[0], step[2]), reverse=True) for step in likes]
    histories = without_likes(
        inputs.histories,
        row=inputs.users.positions([user.partition(":")[2] for user, _ in pairs]),
        item=inputs.items.positions([item.partition(":")[2] for _, item in pairs]),
    )
    return replace(inputs, positives_UI=histories.positives_UI, age_UI=histories.age_UI, graph=graph_without(inputs.graph, steps))


def without_likes(histories: Histories, *, row: Sequence[int] | np.ndarray, item: Sequence[int] | np.ndarray) -> Histories:
    """The histories without these pairs of a row and an item, shape unchanged; a pair that is no like is no error."""
    num_items = histories.positives_UI.shape[1]
    pair_E = histories.user_index * num_items + histories.positives_UI.indices
    kept_E = ~np.isin(pair_E, np.asarray(row, dtype=np.int64) * num_items + np.asarray(item, dtype=np.int64))
    age_UI = None if histories.age_UI is None else _kept(histories.age_UI, kept_E)
    return Histories(_kept(histories.positives_UI, kept_E), age_UI)


def graph_without(graph: InterestGraph, steps: Collection[Step]) -> InterestGraph:
    """The graph without these edges, whichever way they are stored."""
    edges = dict(graph.edges)
    for source, relation, target in [*steps, *((right, relation, left) for left, relation, right in steps)]:
        (source_type, _, source_id), (target_type, _, target_id) = source.partition(":"), target.partition(":")
        known = EdgeType(source_type, relation, target_type)
        if known in edges:
            found = edges[known]
            is_it = (found.source_index == _position(graph.vocabularies[source_type], source_id)) & (
                found.target_index == _position(graph.vocabularies[target_type], target_id)
            )
            edges[known] = Edges(found.source_index[~is_it], found.target_index[~is_it], found.weight[~is_it])
    return InterestGraph(graph.vocabularies, {known: found for known, found in edges.items() if len(found)})


def _derived_from(inputs: ModelInputs, step: Step) -> list[Step]:
    """The likes that a user's interest comes from; none for another edge."""
    if step[1] != HAS_INTEREST.relation:
        return []
    user, interest = (step[0], step[2]) if step[0].startswith("user:") else (step[2], step[0])
    row = inputs.users.positions([user.partition(":")[2]])
    column = inputs.graph.vocabularies["interest"].positions([interest.partition(":")[2]])
    liked = np.sort(inputs.positives_UI[row].indices).astype(np.int64)
    is_about = np.asarray(inputs.graph.adjacency(ABOUT)[liked][:, column].toarray()).reshape(-1) > 0
    return [(user, INTERACTED.relation, f"item:{item_id}") for item_id in inputs.items.take(liked[is_about]).to_pylist()]


def _position(vocabulary: Vocabulary, identifier: str) -> int:
    return int(vocabulary.positions([identifier])[0])


def _kept(matrix_UI: sp.csr_array, kept_E: BoolArray) -> sp.csr_array:
    row_E = np.repeat(np.arange(matrix_UI.shape[0]), np.diff(matrix_UI.indptr))[kept_E]
    entries = (matrix_UI.data[kept_E], (row_E, matrix_UI.indices[kept_E]))
    return sp.csr_array(entries, shape=matrix_UI.shape, dtype=matrix_UI.dtype)
