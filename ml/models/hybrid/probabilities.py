"""What a model says of a user, as the probability of every item they have not met to be liked next.

Models score on scales of their own; on this one they can be pooled. Shapes: B batch of users, I items.
"""

from typing import Literal

import numpy as np
import scipy.sparse as sp

from ml.ids import FloatArray

# Logits are exponents already; weights are relative, what is not above 0 says nothing.
Scale = Literal["logit", "weight"]


def probabilities(scores_BI: FloatArray, *, scale: Scale, sharpness: float, met_BI: sp.csr_array) -> FloatArray:
    """`scores_BI` sharpened and normalised per user over what is not in `met_BI`, float32 [B, I].

    Logits times, weights to the power of `sharpness`. A row without anything to say is 0, every other sums to 1.
    """
    if scale == "logit":
        shares_BI: FloatArray = np.exp(np.float32(sharpness) * (scores_BI - scores_BI.max(axis=1, keepdims=True, initial=-np.inf)))
    else:
        shares_BI = np.maximum(scores_BI, np.float32(0.0))
        # Relative to the largest, so that no power of it leaves float32.
        shares_BI /= np.maximum(shares_BI.max(axis=1, keepdims=True, initial=0.0), np.finfo(np.float32).tiny)
        if sharpness != 1.0:
            np.power(shares_BI, np.float32(sharpness), out=shares_BI)
    shares_BI[met_BI.nonzero()] = 0.0
    total_B1 = shares_BI.sum(axis=1, keepdims=True)
    np.divide(shares_BI, total_B1, out=shares_BI, where=total_B1 > 0)
    return shares_BI
