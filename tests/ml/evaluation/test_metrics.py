"""Metrics against figures worked out by hand, and against slow definitions read off the formulas."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.evaluation.metrics import METRICS, accuracy
from tests.ml.evaluation.slow_metrics import slow_metric

# Ranks 1..5 of three users: hits at 1 and 4 of 3 relevant; at 2 of 1; none of 8.
HITS = np.array([[1, 0, 0, 1, 0], [0, 1, 0, 0, 0], [0, 0, 0, 0, 0]], dtype=bool)
RELEVANT = np.array([3, 1, 8])

BY_HAND = {
    "recall@5": [2 / 3, 1.0, 0.0],
    "ndcg@5": [(1 + 1 / math.log2(5)) / (1 + 1 / math.log2(3) + 1 / 2), 1 / math.log2(3), 0.0],
    "mrr@5": [1.0, 0.5, 0.0],
    "map@5": [(1 / 1 + 2 / 4) / 3, 1 / 2, 0.0],
    "hit_rate@5": [1.0, 1.0, 0.0],
    "recall@2": [1 / 3, 1.0, 0.0],
    "ndcg@2": [1 / (1 + 1 / math.log2(3)), 1 / math.log2(3), 0.0],
    "mrr@2": [1.0, 0.5, 0.0],
    "map@2": [(1 / 1) / 2, 1 / 2, 0.0],
    "hit_rate@2": [1.0, 1.0, 0.0],
    "recall@1": [1 / 3, 0.0, 0.0],
    "ndcg@1": [1.0, 0.0, 0.0],
    "mrr@1": [1.0, 0.0, 0.0],
    "map@1": [1.0, 0.0, 0.0],
    "hit_rate@1": [1.0, 0.0, 0.0],
}


@pytest.mark.parametrize("metric", BY_HAND)
def test_a_metric_by_hand(metric: str) -> None:
    measured = accuracy(HITS, num_relevant_U=RELEVANT, cutoffs=(1, 2, 5))
    np.testing.assert_allclose(measured[metric], BY_HAND[metric], rtol=1e-12)


def test_every_metric_at_every_cutoff_and_nothing_else() -> None:
    assert set(accuracy(HITS, num_relevant_U=RELEVANT, cutoffs=(1, 2, 5))) == set(BY_HAND)


@st.composite
def ranked(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    num_users, k = draw(st.integers(1, 6)), draw(st.integers(1, 12))
    hits = np.array(draw(st.lists(st.lists(st.booleans(), min_size=k, max_size=k), min_size=num_users, max_size=num_users)))
    beyond = np.array(draw(st.lists(st.integers(0, 15), min_size=num_users, max_size=num_users)))
    return hits, np.maximum(hits.sum(axis=1) + beyond, 1)


@settings(max_examples=200, deadline=None)
@given(ranked(), st.data())
def test_metrics_equal_their_slow_definitions(lists: tuple[np.ndarray, np.ndarray], data: st.DataObject) -> None:
    hits_UK, num_relevant_U = lists
    k = data.draw(st.integers(1, hits_UK.shape[1]))
    measured = accuracy(hits_UK, num_relevant_U=num_relevant_U, cutoffs=(k,))
    for metric in METRICS:
        expected = [slow_metric(metric, hits[:k].tolist(), int(count)) for hits, count in zip(hits_UK, num_relevant_U, strict=True)]
        np.testing.assert_allclose(measured[f"{metric}@{k}"], expected, rtol=1e-12)
        assert (measured[f"{metric}@{k}"] <= 1 + 1e-12).all()


@settings(max_examples=100, deadline=None)
@given(ranked())
def test_moving_a_hit_up_never_lowers_a_metric(lists: tuple[np.ndarray, np.ndarray]) -> None:
    hits_UK, num_relevant_U = lists
    k = hits_UK.shape[1]
    before = accuracy(hits_UK, num_relevant_U=num_relevant_U, cutoffs=(k,))
    after = accuracy(-np.sort(-hits_UK.astype(int), axis=1) > 0, num_relevant_U=num_relevant_U, cutoffs=(k,))
    for metric, values in before.items():
        assert (after[metric] >= values - 1e-12).all()


@pytest.mark.parametrize("num_relevant", [1, 3, 5, 40])
def test_a_perfect_list_scores_one(num_relevant: int) -> None:
    hits = np.array([[rank < num_relevant for rank in range(5)]])
    measured = accuracy(hits, num_relevant_U=np.array([num_relevant]), cutoffs=(5,))
    for metric in ("ndcg@5", "mrr@5", "map@5", "hit_rate@5"):
        np.testing.assert_allclose(measured[metric], 1.0)
    np.testing.assert_allclose(measured["recall@5"], min(5, num_relevant) / num_relevant)


def test_no_users_measure_nothing() -> None:
    measured = accuracy(np.zeros((0, 5), dtype=bool), num_relevant_U=np.zeros(0, dtype=int), cutoffs=(5,))
    assert {values.shape for values in measured.values()} == {(0,)}


def test_what_cannot_be_measured_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a relevant item"):
        accuracy(HITS, num_relevant_U=np.array([3, 0, 8]), cutoffs=(5,))
    with pytest.raises(ValueError, match="cannot be cut at 10"):
        accuracy(HITS, num_relevant_U=RELEVANT, cutoffs=(5, 10))
