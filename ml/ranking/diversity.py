"""Maximal marginal relevance: each place goes to what is relevant and unlike what stands above.

Carbonell & Goldstein, "The use of MMR, diversity-based reranking for reordering documents and producing
summaries", SIGIR 1998. Shapes: N candidates, D dimensions.
"""

import numpy as np
import numpy.typing as npt

from ml.ids import FloatArray

Floats = npt.NDArray[np.float64]


class MarginalRelevance:
    """`(1 - strength) x relevance - strength x largest cosine to what was taken`; relevance is the score scaled to [0, 1].

    Strength is the paper's 1 - lambda: 0 keeps the order of scores, 1 looks at variety alone.
    """

    def __init__(self, score_N: Floats, *, vectors_ND: FloatArray, strength: float) -> None:
        """Vectors are of length 1, or zeros, which are like nothing."""
        if not 0 <= strength <= 1:
            raise ValueError(f"diversity must be between 0 and 1, not {strength}")
        self._strength = strength
        self._vectors_ND = vectors_ND
        span = np.ptp(score_N) if len(score_N) else 0.0
        self._relevance_N = (score_N - score_N.min()) / span if span > 0 else np.zeros(len(score_N))
        self._nearest_N: Floats | None = None

    @property
    def value_N(self) -> Floats:
        """What each candidate is worth at the next place, shape [N]."""
        if self._nearest_N is None:
            return (1.0 - self._strength) * self._relevance_N if self._strength < 1 else self._relevance_N
        return (1.0 - self._strength) * self._relevance_N - self._strength * self._nearest_N

    def take(self, place: int) -> None:
        """Remember a candidate as one that stands above."""
        self.stands_above(self._vectors_ND[place])

    def stands_above(self, vector_D: FloatArray) -> None:
        """Remember any item that stands above by its vector."""
        if self._strength > 0:
            cosine_N = (self._vectors_ND @ vector_D).astype(np.float64)
            self._nearest_N = cosine_N if self._nearest_N is None else np.maximum(self._nearest_N, cosine_N)
