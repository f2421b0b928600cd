"""A pool of opinions: the weighted sum of several models' evidence, as the probability of every item to be liked next.

Stone, "The opinion pool", Annals of Mathematical Statistics 32(4), 1961. Where weights start is found by expectation
maximisation, as in deleted interpolation (Jelinek & Mercer, 1980): the likelihood of the likes has one maximum. Shapes: B batch
of users, I items, K models, E new likes.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from ml.ids import FloatArray
from ml.models.hybrid.readings import Reading

# Share of the pool that holds every item equally probable: no like is impossible.
UNIFORM_SHARE = 0.01
_ITERATIONS = 200

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Opinion:
    """How a model's scores are read, and what they count."""

    reading: Reading
    weight: float


def pooled(scores: Mapping[str, FloatArray], *, opinions: Mapping[str, Opinion], met_BI: sp.csr_array) -> FloatArray:
    """Pooled probability of every item not met, shape [B, I]; rows sum to 1, or are 0 where no model says anything."""
    total_BI = np.zeros(met_BI.shape, dtype=np.float32)
    for name, opinion in opinions.items():
        if opinion.weight > 0:
            evidence_BI = opinion.reading.evidence(scores[name], met_BI=met_BI)
            evidence_BI *= np.float32(opinion.weight)
            total_BI += evidence_BI
    sums_B1 = total_BI.sum(axis=1, keepdims=True)
    np.divide(total_BI, sums_B1, out=total_BI, where=sums_B1 > 0)
    return total_BI


def sharpest(likelihood_ES: Floats, *, importance_E: Floats, num_items: int) -> int:
    """Which of several readings makes the new likes most probable, a uniform share mixed in."""
    mixed_ES = (1 - UNIFORM_SHARE) * likelihood_ES + UNIFORM_SHARE / max(num_items, 1)
    return int(np.argmax(importance_E @ np.log(mixed_ES)))


def pool_weights(likelihood_EK: Floats, *, importance_E: Floats, num_items: int) -> Floats:
    """Weights of sum 1 under which the new likes are most probable, shape [K]; equal ones without a like."""
    num_models = likelihood_EK.shape[1]
    weight_K = np.full(num_models, 1.0 / max(num_models, 1))
    share_E = importance_E / importance_E.sum() if importance_E.sum() > 0 else importance_E
    for _ in range(_ITERATIONS if len(likelihood_EK) else 0):
        joint_EK = (1 - UNIFORM_SHARE) * likelihood_EK * weight_K
        found_K = share_E @ (joint_EK / (joint_EK.sum(axis=1, keepdims=True) + UNIFORM_SHARE / num_items))
        # What the uniform share explains is nobody's merit.
        weight_K = found_K / found_K.sum() if found_K.sum() > 0 else weight_K
    return weight_K
