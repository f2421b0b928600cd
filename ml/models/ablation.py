"""Scores of one user without some of their likes, many such histories in one batch.

What a like is worth is what the score loses without it: leave-one-out by folding in, as in Tran, Ghazimatin & Saha Roy,
"Counterfactual explanations for neural recommenders", SIGIR 2021 (there estimated by influence functions; here exact, since
nothing is trained to fold a history in). Shapes: B reduced histories, L likes, I items, K items asked about.
"""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from ml.ids import BoolArray, FloatArray, IntArray
from ml.models.histories import Histories
from ml.models.hybrid.hybrid import Hybrid


@dataclass(frozen=True)
class Ablation:
    """A hybrid, one user's history (a single row) and the items they met beyond it, which stay met."""

    model: Hybrid
    history: Histories
    met: IntArray

    def __post_init__(self) -> None:
        """Refuse anything but one user."""
        if len(self.history) != 1:
            raise ValueError(f"an ablation is of one user, the history has {len(self.history)} rows; take one")

    @property
    def liked_L(self) -> IntArray:
        """Items of the history, ascending, shape [L]."""
        return np.asarray(self.history.positives_UI.indices, dtype=np.int64)

    @property
    def weight_L(self) -> FloatArray:
        """Their weights, above 0, shape [L]."""
        return np.asarray(self.history.positives_UI.data, dtype=np.float32)

    def __call__(self, kept_BL: BoolArray, item_K: IntArray) -> FloatArray:
        """Scores of items with the likes at True in each row, shape [B, K]. A like that is left out stays met."""
        row_E, place_E = np.nonzero(kept_BL)
        shape = (len(kept_BL), self.history.positives_UI.shape[1])
        age_BI = None if self.history.age_UI is None else _rows(self.history.age_UI.data, self.liked_L, row_E, place_E, shape=shape)
        histories = Histories(_rows(self.weight_L, self.liked_L, row_E, place_E, shape=shape), age_BI)
        met_I = np.union1d(self.liked_L, self.met)
        met_BI = sp.csr_array(
            (np.ones(len(kept_BL) * len(met_I), dtype=np.float32), np.tile(met_I, len(kept_BL)), np.arange(len(kept_BL) + 1) * len(met_I)),
            shape=shape,
        )
        return self.model.fold_in(histories, met_BI=met_BI, items=item_K)


def _rows(value_L: np.ndarray, item_L: IntArray, row_E: IntArray, place_E: IntArray, *, shape: tuple[int, int]) -> sp.csr_array:
    starts_B = np.searchsorted(row_E, np.arange(shape[0] + 1))
    return sp.csr_array((value_L[place_E], item_L[place_E], starts_B), shape=shape)
