"""A pool of opinions: the weighted mean of what several models hold probable, its weights learned from new likes.

Stone, "The opinion pool", Annals of Mathematical Statistics 32(4), 1961; weights by expectation maximisation, as in
deleted interpolation (Jelinek & Mercer, 1980): the likelihood of the likes has one maximum. Shapes: B batch of users,
I items, K models, E new likes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from ml.ids import FloatArray, IntArray
from ml.models.hybrid.probabilities import Scale, probabilities

# Tried for every model: flatter than it says, as it says, sharper.
SHARPNESSES = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0)
# Share of the pool that holds every item equally probable while weights are learned: no like is impossible.
UNIFORM_SHARE = 0.01
_ITERATIONS = 200

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Opinion:
    """How a model's scores are read, and what they count."""

    scale: Scale
    sharpness: float
    weight: float


def pooled(scores: Mapping[str, FloatArray], *, opinions: Mapping[str, Opinion], met_BI: sp.csr_array) -> FloatArray:
    """Pooled probability of every item not met, shape [B, I]; rows sum to 1, to less where a model has nothing to say."""
    total_BI = np.zeros(met_BI.shape, dtype=np.float32)
    for name, opinion in opinions.items():
        if opinion.weight > 0:
            total_BI += np.float32(opinion.weight) * probabilities(
                scores[name], scale=opinion.scale, sharpness=opinion.sharpness, met_BI=met_BI
            )
    return total_BI


def likelihoods(
    scores_BI: FloatArray,
    *,
    scale: Scale,
    met_BI: sp.csr_array,
    like: tuple[IntArray, IntArray],
    sharpnesses: Sequence[float] = SHARPNESSES,
) -> Floats:
    """Probability of each new like (row, item) under each sharpness, shape [E, number of sharpnesses]."""
    return np.stack(
        [probabilities(scores_BI, scale=scale, sharpness=sharpness, met_BI=met_BI)[like] for sharpness in sharpnesses], axis=1
    ).astype(np.float64)


def sharpest(likelihood_ES: Floats, *, importance_E: Floats, num_items: int) -> int:
    """Which sharpness makes the new likes most probable, a uniform share mixed in."""
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
