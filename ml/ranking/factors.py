"""Models whose scores are products of vectors, as the vectors; they start without torch.

Ranking by them is `ml.ranking.top_n_vectors`. Shapes: U users, I items, D dimension.
"""

import math
from dataclasses import dataclass

import numpy as np

from ml.ids import FloatArray, IntArray


@dataclass(frozen=True)
class Factors:
    """Scores as `users_UD @ items_ID.T + bias_I`, float32."""

    users_UD: FloatArray
    items_ID: FloatArray
    bias_I: FloatArray

    def __post_init__(self) -> None:
        """Refuse shapes that do not fit, and vectors whose scores could be anything but finite."""
        shapes = self.users_UD.shape, self.items_ID.shape, self.bias_I.shape
        if len(shapes[0]) != 2 or len(shapes[1]) != 2 or shapes[0][1] != shapes[1][1] or shapes[2] != shapes[1][:1]:
            raise ValueError(f"vectors of users, of items and the bias have shapes {shapes}, expected [U, D], [I, D] and [I]")
        bound = _longest(self.users_UD) * _longest(self.items_ID) + float(np.abs(self.bias_I).max(initial=0.0))
        if not bound < float(np.finfo(np.float32).max):
            raise ValueError(f"scores can be as large as {bound}: vectors or bias are not finite, or too long")

    def of_items(self, positions: IntArray) -> "Factors":
        """The same for some of the items, in the order of `positions`."""
        return Factors(self.users_UD, self.items_ID[positions], self.bias_I[positions])


def _longest(vectors_ND: FloatArray) -> float:
    longest = np.einsum("nd,nd->n", vectors_ND, vectors_ND, dtype=np.float64).max(initial=0.0)
    return math.sqrt(longest) if longest >= 0 else math.nan
