"""The best of a rung: by score, then popularity, then id, however many tie where the list ends."""

from types import SimpleNamespace

import numpy as np
import pytest

from serving.answering import _best
from serving.ladder import Scored


@pytest.mark.parametrize("k", [1, 3, 10, 40, 500])
@pytest.mark.parametrize("num_levels", [1, 3, 1000])
def test_the_best_are_those_of_a_full_sort(k, num_levels) -> None:
    rng = np.random.default_rng(k * num_levels)
    score_I = (rng.integers(num_levels, size=300) / num_levels).astype(np.float32)
    popularity_I = (rng.integers(5, size=300) / 5).astype(np.float32)
    offered_I, is_scored_I = rng.random(300) < 0.7, rng.random(300) < 0.9
    snapshot = SimpleNamespace(catalogue=SimpleNamespace(popularity_I=popularity_I))
    best = _best(snapshot, Scored("popular", score_I, is_scored_I), offered_I=offered_I, k=k)
    may = sorted(np.flatnonzero(offered_I & is_scored_I).tolist(), key=lambda item: (-score_I[item], -popularity_I[item], item))
    assert best.tolist() == may[:k]
