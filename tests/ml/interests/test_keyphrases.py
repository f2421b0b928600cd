"""Keyphrases of an item one after the other: the best first, then what says something else."""

import numpy as np
import pytest
import scipy.sparse as sp

from ml.interests.keyphrases import most_telling

# Phrases 0 and 1 mean nearly the same, 2 something else.
MEANS = np.array([[1.0, 0.0], [0.98, 0.199], [0.0, 1.0]], dtype=np.float32)
SCORES = sp.coo_array(np.array([[1.0, 0.9, 0.5], [0.2, 0.0, 0.4], [0.0, 0.0, 0.0]]))
RANK = np.arange(3)


def chosen(*, limit: int, diversity: float, scores: sp.coo_array = SCORES, rank_P: np.ndarray = RANK) -> list[list[int]]:
    top = most_telling(scores, rank_P=rank_P, means_PD=MEANS, limit=limit, diversity=diversity)
    return [scores.col[top][scores.row[top] == item].tolist() for item in range(scores.shape[0])]


def test_without_diversity_the_best_scores_are_taken() -> None:
    assert chosen(limit=2, diversity=0.0) == [[0, 1], [2, 0], []]


def test_with_diversity_the_second_says_something_else() -> None:
    assert chosen(limit=2, diversity=0.5) == [[0, 2], [2, 0], []]
    assert chosen(limit=3, diversity=0.5) == [[0, 2, 1], [2, 0], []]


@pytest.mark.parametrize("diversity", [0.0, 0.3, 0.7])
def test_the_first_is_the_best_whatever_the_diversity(diversity) -> None:
    assert [found[:1] for found in chosen(limit=2, diversity=diversity)] == [[0], [2], []]


def test_ties_go_by_rank() -> None:
    equal = sp.coo_array(np.ones((1, 3)))
    assert chosen(limit=2, diversity=0.0, scores=equal, rank_P=np.array([2, 1, 0])) == [[2, 1]]


def test_the_order_of_pairs_changes_nothing() -> None:
    rng = np.random.default_rng(0)
    scores = sp.coo_array(rng.random((20, 3)))
    order = rng.permutation(len(scores.data))
    shuffled = sp.coo_array((scores.data[order], (scores.row[order], scores.col[order])), shape=scores.shape)
    assert chosen(limit=2, diversity=0.4, scores=scores) == chosen(limit=2, diversity=0.4, scores=shuffled)
