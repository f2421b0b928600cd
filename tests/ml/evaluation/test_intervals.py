"""Bootstrap intervals: seeded, paired, and as wide as statistics says."""

import numpy as np
import pytest

from ml.evaluation import intervals
from ml.evaluation.intervals import bootstrap_means, percentile_interval


def means(values: np.ndarray, *, seed: int = 0, num_bootstrap: int = 2000) -> np.ndarray:
    return bootstrap_means(values, num_bootstrap=num_bootstrap, rng=np.random.default_rng(seed))


def test_the_interval_of_a_normal_mean_is_what_theory_says() -> None:
    values = np.random.default_rng(4).normal(3.0, 2.0, size=(400, 1))
    low, high = percentile_interval(means(values), confidence=0.95)
    half = 1.96 * values.std() / np.sqrt(400)
    np.testing.assert_allclose([low[0], high[0]], [values.mean() - half, values.mean() + half], atol=0.03)


def test_resamples_are_means_of_drawn_rows() -> None:
    means_R = means(np.array([[0.0], [1.0], [1.0]]))[:, 0]
    np.testing.assert_allclose(np.unique(means_R * 3).round(9), [0, 1, 2, 3])
    np.testing.assert_allclose(np.mean(means_R == 0.0), (1 / 3) ** 3, atol=0.02)


def test_columns_are_paired() -> None:
    values = np.random.default_rng(5).normal(size=(50, 1))
    both = means(np.concatenate([values, values + 1.0], axis=1))
    np.testing.assert_allclose(both[:, 1] - both[:, 0], 1.0)


def test_the_same_seed_gives_the_same_bits() -> None:
    values = np.random.default_rng(6).normal(size=(30, 3))
    np.testing.assert_array_equal(means(values), means(values))
    assert not np.array_equal(means(values, seed=1), means(values))


def test_blocks_draw_what_one_block_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(6).normal(size=(30, 3))
    whole = means(values, num_bootstrap=100)
    monkeypatch.setattr(intervals, "_BLOCK_DRAWS", 70)
    np.testing.assert_allclose(means(values, num_bootstrap=100), whole, rtol=1e-12)


def test_a_constant_has_no_width() -> None:
    low, high = percentile_interval(means(np.full((7, 2), 0.25)), confidence=0.9)
    np.testing.assert_array_equal([low, high], 0.25)


def test_more_confidence_is_wider() -> None:
    resampled = means(np.random.default_rng(7).normal(size=(60, 1)))
    narrow, wide = (percentile_interval(resampled, confidence=confidence) for confidence in (0.5, 0.99))
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


def test_nobody_cannot_be_resampled() -> None:
    with pytest.raises(ValueError, match="no users"):
        means(np.zeros((0, 2)))
