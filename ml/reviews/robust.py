"""How unusual a number is among its kind, by medians, so that those who are unusual do not set the scale.

Rousseeuw & Croux, "Alternatives to the median absolute deviation", JASA 88, 1993. Shapes: U users.
"""

import numpy as np
import numpy.typing as npt

from ml.ids import BoolArray, IntArray

Floats = npt.NDArray[np.float64]

# A population smaller than this has no usual.
FEWEST_JUDGED = 20
_NORMAL_PER_MAD = 1.4826


def unusualness(values_U: Floats, *, is_judged_U: BoolArray, smallest_scale: float) -> Floats:
    """Robust z-scores among the judged users, shape [U]; 0 for the others, and for all where too few are judged.

    `smallest_scale` is what counts as one deviation where nearly all are equal.
    """
    if is_judged_U.sum() < FEWEST_JUDGED:
        return np.zeros(len(values_U))
    usual = np.median(values_U[is_judged_U])
    spread = _NORMAL_PER_MAD * np.median(np.abs(values_U[is_judged_U] - usual))
    return np.where(is_judged_U, (values_U - usual) / max(float(spread), smallest_scale), 0.0)


def sureness(num_U: IntArray, *, half: float) -> Floats:
    """n / (n + half): how much is to be made of what `num_U` events show, shape [U]."""
    return np.asarray(num_U / (num_U + half), dtype=np.float64)


def trust(suspicion_U: Floats, *, half: float) -> Floats:
    """A suspicion from 0 up as trust in (0, 1]: exactly 1 up to a third of `half`, 1/2 at it, near 0 well above."""
    beyond_U = np.maximum(1.5 * (suspicion_U / half - 1 / 3), 0.0)
    return np.asarray(1.0 / (1.0 + beyond_U**6), dtype=np.float64)
