"""Array types and the few draws that several parts of the simulation share.

Everything here is vectorised and takes its `rng`; what is drawn, and why, is the
caller's business.
"""

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

SECONDS_PER_DAY = 86_400


def zipf_weights(count: int, *, exponent: float, offset: float = 2.0) -> Floats:
    """Zipf-Mandelbrot weights 1 / (rank + offset)^exponent with mean 1, falling, shape [count]."""
    weights = 1.0 / (np.arange(1, count + 1) + offset) ** exponent
    normalised: Floats = weights / weights.mean()
    return normalised


def draw_from_rows(weights_NC: Floats, rng: np.random.Generator, *, draws: int = 1) -> Ints:
    """`draws` columns per row, with probability proportional to weight, shape [N, draws]. No row may sum to 0."""
    cumulative_NC = np.cumsum(weights_NC, axis=1)
    thresholds_NK = rng.random((len(weights_NC), draws)) * cumulative_NC[:, -1:]
    drawn = [(cumulative_NC <= thresholds_NK[:, [draw]]).sum(axis=1) for draw in range(draws)]
    return np.stack(drawn, axis=1).astype(np.int64)


def chance(probability: float | Floats, size: int, rng: np.random.Generator) -> Bools:
    """Independent coin flips, shape [size]."""
    return np.asarray(rng.random(size) < probability)


def sigmoid(values: Floats) -> Floats:
    """The logistic function."""
    result: Floats = 1.0 / (1.0 + np.exp(-values))
    return result
