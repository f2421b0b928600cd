"""A leak planted in the harness is caught, wherever it lies."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp

from benchmarks.published.protocols import ALL_RANKING, NEXT_ITEM
from benchmarks.published.questions import final, rehearsal
from benchmarks.published.split import PublishedSplit
from ml.config.pipeline import EvaluationConfig
from ml.errors import KnownAnswersError
from ml.evaluation.harness import evaluate
from ml.graph.edge_types import DISLIKED, INTERACTED
from ml.graph.interest_graph import Edges, EdgeType, InterestGraph
from ml.models.inputs import ModelInputs
from ml.models.popularity import Popularity
from tests.ml.evaluation.scripted import truth_of
from tests.ml.models.worlds import make_inputs

LIKED = np.array([[1.0, 1.0, 0, 0], [1.0, 0, 1.0, 0]])
ASKED = np.array([[0, 0, 1, 0], [0, 0, 0, 1]])


def with_pair(matrix: sp.csr_array, user: int, item: int) -> sp.csr_array:
    dense = matrix.toarray()
    dense[user, item] = 1.0
    return sp.csr_array(dense)


def with_edge(inputs: ModelInputs, edge_type: EdgeType) -> ModelInputs:
    edge = Edges(np.array([1]), np.array([3]), np.array([1.0], dtype=np.float32))
    return replace(inputs, graph=InterestGraph(inputs.graph.vocabularies, inputs.graph.edges | {edge_type: edge}))


def measured(inputs: ModelInputs) -> None:
    evaluate(
        {"popularity": Popularity().fit(inputs, rng=np.random.default_rng(0))},
        inputs=inputs,
        truth=truth_of(ASKED),
        config=EvaluationConfig(cutoffs=(1,), num_bootstrap=10),
    )


PLANTED = {
    "likes": lambda inputs: replace(inputs, positives_UI=with_pair(inputs.positives_UI, 1, 3), age_UI=None),
    "pairs met": lambda inputs: replace(inputs, seen_UI=with_pair(inputs.seen_UI, 0, 2)),
    "graph's likes": lambda inputs: with_edge(inputs, INTERACTED),
    "graph's dislikes": lambda inputs: with_edge(inputs, DISLIKED),
}


@pytest.mark.parametrize("place", PLANTED)
def test_an_answer_among_the_inputs_is_caught(place: str) -> None:
    with pytest.raises(KnownAnswersError, match=place):
        measured(PLANTED[place](make_inputs(LIKED)))


def test_an_honest_test_passes() -> None:
    measured(make_inputs(LIKED))


def test_a_published_set_whose_test_is_in_train_is_caught() -> None:
    train_UI, test_UI = sp.csr_array(LIKED), sp.csr_array(ASKED.astype(float))
    leaky = PublishedSplit("leaky", ALL_RANKING, with_pair(train_UI, 0, 2), test_UI)
    with pytest.raises(KnownAnswersError, match="1 pair"):
        final(leaky, rng=np.random.default_rng(0))
    assert len(final(PublishedSplit("honest", ALL_RANKING, train_UI, test_UI), rng=np.random.default_rng(0)).user_index) == 2


def test_what_is_withheld_is_not_known() -> None:
    split = PublishedSplit("wide", NEXT_ITEM, sp.csr_array(np.ones((6, 40))), sp.csr_array((6, 40)))
    question = rehearsal(split, rng=np.random.default_rng(0))
    assert question.answer_UI.nnz
    assert question.known_UI.multiply(question.answer_UI).nnz == 0
