"""Probabilities of a judge that may abstain: how sure it must be to answer.

Shapes: N judged texts.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from ml.calibration import platt_scale
from ml.ids import BoolArray

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
    slope, intercept = platt_scale(margin_N, is_positive_N=is_positive_N)
    found = Calibration(slope, intercept, 0.5)
    probability_N = found.probability(margin_N)
    threshold = abstain_threshold(probability_N, is_positive_N=is_positive_N, accuracy=accuracy, max_abstained=max_abstained)
    return Calibration(slope, intercept, threshold)


def abstain_threshold(probability_N: Floats, *, is_positive_N: BoolArray, accuracy: float, max_abstained: float) -> float:
    """The smallest confidence such that all answers at least that sure are right `accuracy` of the time."""
    confidence_N = np.maximum(probability_N, 1 - probability_N)
    is_right_N = (probability_N >= 0.5) == is_positive_N
    order = np.argsort(-confidence_N, kind="stable")
    share_right = np.cumsum(is_right_N[order]) / np.arange(1, len(order) + 1)
    good = np.flatnonzero(share_right >= accuracy)
    num_answered = max(good[-1] + 1 if len(good) else 0, int(np.ceil((1 - max_abstained) * len(order))), 1)
    return float(confidence_N[order][num_answered - 1])
