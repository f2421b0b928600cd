"""How a model's scores are read as evidence for every item a user has not met, so that models can be pooled.

Models score on scales of their own. Read relatively, a user's scores are shares of 1; read as they are, a model that knows
much of a user says more than of one it hardly knows. Shapes: B batch of users, I items.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy.sparse as sp

from ml.ids import FloatArray, IntArray

# Logits are exponents already, and always relative; of weights, what is not above 0 says nothing.
Scale = Literal["logit", "weight"]


@dataclass(frozen=True)
class Reading:
    """Logits times, weights to the power of `sharpness`; `unit` is what a weight is measured in where it is not read relatively."""

    scale: Scale
    sharpness: float = 1.0
    is_relative: bool = True
    unit: float = 1.0

    def evidence(self, scores_BI: FloatArray, *, met_BI: sp.csr_array) -> FloatArray:
        """Of every item, 0 for those in `met_BI`, float32 [B, I]. Read relatively a row sums to 1, or is 0 where nothing is said.

        Weights that all lie below a millionth of the row's largest, met items included, are what float32 leaves of 0, and say nothing.
        """
        found_BI = self._raised(scores_BI)
        found_BI[pairs_of(met_BI)] = 0.0
        if self.is_relative:
            total_B1 = found_BI.sum(axis=1, keepdims=True)
            if self.scale == "weight":
                least = _ROUNDING**self.sharpness
                faint = np.flatnonzero(total_B1[:, 0] <= least * found_BI.shape[1])
                total_B1[faint[found_BI[faint].max(axis=1, initial=0.0) <= least]] = np.inf
            np.divide(found_BI, total_B1, out=found_BI, where=total_B1 > 0)
        return found_BI

    def _raised(self, scores_BI: FloatArray) -> FloatArray:
        if self.scale == "logit":
            shifted_BI = scores_BI - scores_BI.max(axis=1, keepdims=True, initial=-np.inf)
            return np.asarray(np.exp(np.float32(self.sharpness) * shifted_BI), dtype=np.float32)
        found_BI = np.maximum(scores_BI, np.float32(0.0))
        # Relative to the largest, so that no power of it leaves float32.
        found_BI /= np.maximum(found_BI.max(axis=1, keepdims=True, initial=0.0), _TINY) if self.is_relative else np.float32(self.unit)
        if self.sharpness == 1.5:
            # Where much is 0 or nearly, as here, a power takes ten times as long as a root.
            found_BI *= np.sqrt(found_BI)
            return found_BI
        return found_BI if self.sharpness == 1.0 else np.power(found_BI, np.float32(self.sharpness), out=found_BI)


def pairs_of(met_BI: sp.csr_array) -> tuple[IntArray, IntArray]:
    """Rows and items of the entries that are not 0, shape [P] each: scipy's `nonzero` without its detour."""
    row_P = np.repeat(np.arange(met_BI.shape[0]), np.diff(met_BI.indptr))
    is_met_P = met_BI.data != 0
    return row_P[is_met_P], met_BI.indices[is_met_P]


_TINY = np.finfo(np.float32).tiny
_ROUNDING = 1e-6


def unit_of(scores_BI: FloatArray) -> float:
    """The mean over users of the largest score, what evidence is measured in; 1 where no model says anything."""
    largest_B = np.maximum(scores_BI.max(axis=1, initial=0.0), 0.0)
    mean = float(largest_B.mean(dtype=np.float64)) if len(largest_B) else 0.0
    return mean if mean > _TINY else 1.0
