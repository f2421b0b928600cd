"""From a model's margins to honest probabilities, and how honest they are.

Platt, "Probabilistic outputs for support vector machines", 1999, with his smoothed targets;
expected calibration error after Guo et al., ICML 2017. Shapes: N judged texts, K bins.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import expit

from ml.ids import BoolArray, IntArray

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Calibration:
    """`probability = expit(slope x margin + intercept)`; answers less sure than `threshold` are withheld."""

    slope: float
    intercept: float
    threshold: float

    def probability(self, margin_N: Floats) -> Floats:
        """Of being positive, shape [N]."""
        return np.asarray(expit(self.slope * margin_N + self.intercept), dtype=np.float64)


def calibrate(margin_N: Floats, *, is_positive_N: BoolArray, accuracy: float, max_abstained: float) -> Calibration:
    """Fit slope and intercept on held-out margins, and the threshold from which answers are right `accuracy` of the time.

    Where that would withhold more than `max_abstained` of the answers, the threshold is the one that withholds that share.
    """
    positives, negatives = int(is_positive_N.sum()), int((~is_positive_N).sum())
    target_N = np.where(is_positive_N, (positives + 1) / (positives + 2), 1 / (negatives + 2))

    def loss(parameters: Floats) -> float:
        logit_N = parameters[0] * margin_N + parameters[1]
        return float(np.mean(np.logaddexp(0.0, logit_N) - target_N * logit_N))

    slope, intercept = minimize(loss, np.array([1.0, 0.0]), method="L-BFGS-B").x
    found = Calibration(float(slope), float(intercept), 0.5)
    probability_N = found.probability(margin_N)
    threshold = abstain_threshold(probability_N, is_positive_N=is_positive_N, accuracy=accuracy, max_abstained=max_abstained)
    return Calibration(float(slope), float(intercept), threshold)


def abstain_threshold(probability_N: Floats, *, is_positive_N: BoolArray, accuracy: float, max_abstained: float) -> float:
    """The smallest confidence such that all answers at least that sure are right `accuracy` of the time."""
    confidence_N = np.maximum(probability_N, 1 - probability_N)
    is_right_N = (probability_N >= 0.5) == is_positive_N
    order = np.argsort(-confidence_N, kind="stable")
    share_right = np.cumsum(is_right_N[order]) / np.arange(1, len(order) + 1)
    good = np.flatnonzero(share_right >= accuracy)
    num_answered = max(good[-1] + 1 if len(good) else 0, int(np.ceil((1 - max_abstained) * len(order))), 1)
    return float(confidence_N[order][num_answered - 1])


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
