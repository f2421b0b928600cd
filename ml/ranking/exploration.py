"""Slots of a list filled by chance, with the probability of every draw, so that what was never shown can be judged later.

Logged propensities are what inverse propensity scoring needs (Horvitz & Thompson, JASA 1952; Bottou et al.,
"Counterfactual reasoning and learning systems", JMLR 2013). Shapes: P candidates of a slot.
"""

import hashlib

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def generator_of(token: str) -> np.random.Generator:
    """Chance that is the request's own: the same token, the same draws; tokens that differ have nothing in common."""
    return np.random.default_rng(int.from_bytes(hashlib.sha256(token.encode()).digest()[:16], "big"))


def num_slots(share: float, *, k: int) -> int:
    """Slots of a list of `k` that are filled by chance, rounded half up: the same for every request."""
    return int(share * k + 0.5)


def propensities(score_P: Floats, *, temperature: float | None) -> Floats:
    """The probability that a slot goes to each candidate, of sum 1: softmax of score / temperature, all alike without one."""
    if temperature is None:
        return np.full(len(score_P), 1.0 / max(len(score_P), 1))
    weight_P = np.exp((score_P - score_P.max(initial=-np.inf)) / temperature)
    return np.asarray(weight_P / weight_P.sum())


def draw(propensity_P: Floats, *, rng: np.random.Generator) -> int:
    """A candidate by its propensity; there must be one."""
    return int(rng.choice(len(propensity_P), p=propensity_P))
