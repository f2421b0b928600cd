"""The validation slice as models see it while they are fitted: likes after the inputs, and one figure.

For stopping and choosing only; what is reported comes from `ml.evaluation`.
Shapes: V validation users, U users, I items, K list length.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from ml.ids import BoolArray, IntArray
from ml.top_n import Score, top_n

LIST_LENGTH = 10
_BLOCK_SIZE = 256
_MAX_USERS = 5000


@dataclass(frozen=True)
class Validation:
    """New likes of some users (`relevant_UI`, non-zero where liked) and what they had met before (`seen_UI`)."""

    relevant_UI: sp.csr_array
    seen_UI: sp.csr_array
    user_index: IntArray

    @classmethod
    def prepare(cls, relevant_UI: sp.csr_array, *, seen_UI: sp.csr_array, rng: np.random.Generator) -> Self:
        """All users with a new like, or 5,000 of them by `rng` where there are more. Raises `ValueError` for other shapes."""
        if relevant_UI.shape != seen_UI.shape:
            raise ValueError(
                f"validation likes have shape {relevant_UI.shape}, the inputs {seen_UI.shape}; both need the same vocabularies"
            )
        user_index = np.flatnonzero(np.diff(relevant_UI.indptr)).astype(np.int64)
        if len(user_index) > _MAX_USERS:
            user_index = np.sort(rng.choice(user_index, _MAX_USERS, replace=False))
        return cls(relevant_UI, seen_UI, user_index)

    def __len__(self) -> int:
        return len(self.user_index)

    def of(self, user_index: IntArray) -> Self:
        """The same of some of the users; of the others it holds no new like."""
        row_E = np.repeat(np.arange(self.relevant_UI.shape[0]), np.diff(self.relevant_UI.indptr))
        kept_E = np.isin(row_E, user_index)
        pairs = row_E[kept_E], self.relevant_UI.indices[kept_E]
        relevant_UI = sp.csr_array((self.relevant_UI.data[kept_E], pairs), shape=self.relevant_UI.shape)
        return type(self)(relevant_UI, self.seen_UI, user_index)

    def ndcg(self, score: Score) -> npt.NDArray[np.float64]:
        """NDCG@10 of each validation user with binary gains, seen items out, shape [V] (Järvelin & Kekäläinen, TOIS 2002)."""
        items_VK, _ = top_n(score, user_index=self.user_index, excluded_UI=self.seen_UI, k=LIST_LENGTH, block_size=_BLOCK_SIZE)
        liked_VI = self.relevant_UI[self.user_index]
        row_VK = np.broadcast_to(np.arange(len(items_VK))[:, None], items_VK.shape)
        hits_VK = np.asarray(liked_VI[row_VK.ravel(), np.maximum(items_VK, 0).ravel()] != 0).reshape(items_VK.shape) & (items_VK >= 0)
        return ndcg_of_hits(hits_VK, np.diff(liked_VI.indptr), k=LIST_LENGTH)


def ndcg_of_hits(hits_VK: BoolArray, num_relevant_V: IntArray, *, k: int) -> npt.NDArray[np.float64]:
    """NDCG@k of lists of at most k of which ranks were hits, shape [V]; of a user with nothing relevant 0.

    What is reported is measured by `ml.evaluation.metrics`, on purpose not by this.
    """
    gain_K = 1.0 / np.log2(np.arange(k) + 2.0)
    ideal_V = np.cumsum(gain_K)[np.clip(num_relevant_V, 1, k) - 1]
    figures_V: npt.NDArray[np.float64] = (hits_VK @ gain_K[: hits_VK.shape[1]]) / ideal_V
    return figures_V


@dataclass(frozen=True)
class Lead:
    """A mean figure less another's on the same users, and the standard error of that difference; infinite for a single user."""

    mean: float
    standard_error: float

    @property
    def is_beyond_error(self) -> bool:
        """Whether it is a gain of more than one standard error."""
        return self.mean > max(0.0, self.standard_error)


def lead_over(figures_V: npt.NDArray[np.float64], usual_V: npt.NDArray[np.float64]) -> Lead:
    """What `figures_V` are ahead of `usual_V`, paired by user."""
    lead_V = figures_V - usual_V
    standard_error = lead_V.std(ddof=1) / np.sqrt(len(lead_V)) if len(lead_V) > 1 else np.inf
    return Lead(float(lead_V.mean()), float(standard_error))


def choose(figures: Callable[[float], npt.NDArray[np.float64]], *, usual: float, others: Sequence[float]) -> float:
    """The setting with the best mean figure, if it beats `usual` by more than a standard error of the paired difference.

    `figures(setting)` has shape [V]. A small slice thus rarely overturns a setting that held elsewhere
    (the one-standard-error rule of Breiman et al., "Classification and regression trees", 1984).
    """
    usual_V = figures(usual)
    chosen, best_lead = usual, 0.0
    for setting in others:
        lead = lead_over(figures(setting), usual_V)
        if lead.is_beyond_error and lead.mean > best_lead:
            chosen, best_lead = setting, lead.mean
    return chosen
