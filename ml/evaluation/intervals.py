"""Bootstrap intervals over users: how far a mean may lie off by the luck of who was tested.

Efron & Tibshirani, "An Introduction to the Bootstrap", 1993, percentile method. Resampling
users, not interactions, keeps a user's correlated hits together. Shapes: T users, M columns, R resamples.
"""

import numpy as np
import numpy.typing as npt

from ml.evaluation.metrics import MetricArray

# Draws made at once: bounds the memory of a block of resamples by users, not their number.
_BLOCK_DRAWS = 4_000_000


def bootstrap_means(values_TM: MetricArray, *, num_bootstrap: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Column means of `num_bootstrap` resamples of the rows with replacement, shape [R, M].

    One resample serves all columns, so differences of columns are paired. Raises `ValueError` without rows.
    """
    num_users = len(values_TM)
    if num_users == 0:
        raise ValueError("nothing to resample: no users were measured")
    block = max(1, _BLOCK_DRAWS // num_users)
    means = np.empty((num_bootstrap, values_TM.shape[1]))
    for start in range(0, num_bootstrap, block):
        stop = min(start + block, num_bootstrap)
        means[start:stop] = _resample_counts(num_users, stop - start, rng=rng) @ values_TM / num_users
    return means


def percentile_interval(means_RM: npt.NDArray[np.float64], *, confidence: float) -> tuple[MetricArray, MetricArray]:
    """The central `confidence` share of resampled means: lower and upper ends, both shape [M]."""
    tail = (1.0 - confidence) / 2.0
    low_M, high_M = np.quantile(means_RM, [tail, 1.0 - tail], axis=0)
    return low_M, high_M


def _resample_counts(num_users: int, num_resamples: int, *, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """How often each user is drawn in each resample, shape [R, T]; every row sums to `num_users`."""
    drawn = rng.integers(0, num_users, size=(num_resamples, num_users))
    cell = drawn + np.arange(num_resamples)[:, None] * num_users
    counts = np.bincount(cell.ravel(), minlength=num_resamples * num_users)
    return counts.reshape(num_resamples, num_users).astype(np.float64)
