"""From a model's margins to honest probabilities, and how honest they are.

Platt, "Probabilistic outputs for support vector machines", 1999, with his smoothed targets;
expected calibration error after Guo et al., ICML 2017. Shapes: N judged cases, K bins.
"""

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from ml.ids import BoolArray, IntArray

Floats = npt.NDArray[np.float64]


def platt_scale(margin_N: Floats, *, is_positive_N: BoolArray) -> tuple[float, float]:
    """Slope and intercept of `probability = expit(slope x margin + intercept)`, fitted on held-out margins."""
    positives, negatives = int(is_positive_N.sum()), int((~is_positive_N).sum())
    target_N = np.where(is_positive_N, (positives + 1) / (positives + 2), 1 / (negatives + 2))

    def loss(parameters: Floats) -> float:
        logit_N = parameters[0] * margin_N + parameters[1]
        return float(np.mean(np.logaddexp(0.0, logit_N) - target_N * logit_N))

    slope, intercept = minimize(loss, np.array([1.0, 0.0]), method="L-BFGS-B").x
    return float(slope), float(intercept)


def calibration_bins(probability_N: Floats, *, is_positive_N: BoolArray, num_bins: int = 10) -> tuple[Floats, Floats, IntArray]:
    """Mean probability, share of positives and number of each equal-width bin, shape [K]; empty bins hold 0."""
    bin_N = np.minimum((probability_N * num_bins).astype(np.int64), num_bins - 1)
    number_K = np.bincount(bin_N, minlength=num_bins)
    some_K = np.maximum(number_K, 1)
    said_K = np.bincount(bin_N, weights=probability_N, minlength=num_bins) / some_K
    true_K = np.bincount(bin_N, weights=is_positive_N.astype(np.float64), minlength=num_bins) / some_K
    return said_K, true_K, number_K


def calibration_error(probability_N: Floats, *, is_positive_N: BoolArray) -> float:
    """Expected calibration error over ten bins: mean gap between what was said and what was true, by number."""
    said_K, true_K, number_K = calibration_bins(probability_N, is_positive_N=is_positive_N)
    return float(np.abs(said_K - true_K) @ number_K / max(number_K.sum(), 1))
