"""A release's scores for one person: as it knows them, and with what they said since.

Shapes: I items of the release's model, D its vectors.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import scipy.sparse as sp

from ml.ids import FloatArray, IntArray
from ml.models.ablation import Ablation
from ml.models.histories import Histories
from ml.models.hybrid.hybrid import Hybrid
from ml.training.candidate import FittedModel
from serving.feedback.statements import UserFeedback, merged


class Taste:
    """Scores in [-1, 1] of the release's items, for users of fit and for anybody with likes."""

    def __init__(self, fitted: FittedModel, *, half_life_days: float) -> None:
        """`half_life_days` is what likes fade by, as when the release was fitted."""
        self.model: Hybrid = fitted.model
        self.users, self.items, self.as_of = fitted.users, fitted.items, fitted.as_of
        self.vectors_ID = fitted.model.item_vectors
        self._num_likes_U = fitted.num_likes_U
        self._half_life_days = half_life_days

    def user_index(self, user_id: str | None) -> int | None:
        """Where the user is in the model, None for somebody it does not know or of whom it knows no like."""
        place, known = self.users.find([user_id] if user_id is not None else [])
        return int(place[0]) if known.any() and self._num_likes_U[place[0]] > 0 else None

    def met(self, user_id: str | None) -> IntArray:
        """Positions of the items the release knows that the user met, disliked ones too."""
        place, known = self.users.find([user_id] if user_id is not None else [])
        return np.asarray(self.model.met_UI[place[known]].indices, dtype=np.int64)

    def person(self, user_id: str | None, *, said: UserFeedback, now: datetime) -> "Person":
        """Somebody who asks at `now`, with what they said since the release."""
        user_index = self.user_index(user_id)
        known = self._nothing() if user_index is None else self.model.histories.take(np.array([user_index]))
        history = merged(known, said, items=self.items, half_life_days=self._half_life_days, as_of=self.as_of, now=now)
        before = np.zeros(0, dtype=np.int64) if user_index is None else self.model.met_UI[[user_index]].indices.astype(np.int64)
        spoken_of, is_known = self.items.find(sorted(said.seen))
        return Person(self.model, user_index, known, history, met_before=before, met=np.union1d(before, spoken_of[is_known]))

    def _nothing(self) -> Histories:
        empty_1I = sp.csr_array((1, len(self.items)), dtype=np.float32)
        return Histories(empty_1I, empty_1I.copy() if self.model.histories.age_UI is not None else None)


@dataclass(frozen=True)
class Person:
    """One who asks: where the model has them, None where it knows no like, and one row each of what they liked at fit and like now.

    Both are the same object where nothing that matters was said since. `met_before` and `met` are positions of what they met,
    ascending: at fit, and with what they spoke of since.
    """

    model: Hybrid
    user_index: int | None
    known: Histories
    history: Histories
    met_before: IntArray
    met: IntArray

    def scores(self) -> FloatArray | None:
        """As the release scores them, with what they said since, shape [I]; None where none of their likes is an item of the release."""
        if self.user_index is not None:
            return self._updated(self.user_index)
        if not self.history.positives_UI.nnz:
            return None
        folded_I: FloatArray = self.model.fold_in(self.history, met_BI=self._marked([self.met]))[0]
        return folded_I

    def without(self) -> Ablation:
        """Their scores as they are, and without some of their likes: what reasons are asked of."""
        return Ablation(self.model, self.history, self.met)

    def _updated(self, user_index: int) -> FloatArray:
        """As the release scores the user, moved by what their new likes, and those they took back, change, shape [I].

        A folded-in history is scored nearly as the model scores the user it learned, not quite. Only the difference of two
        folded-in histories is therefore added, so that with nothing new the answer is the released one, to the bit.
        """
        scores_I: FloatArray = self.model.score(np.array([user_index]))[0]
        if self.history is self.known:
            return scores_I
        folded_2I = self.model.fold_in(_stacked(self.known, self.history), met_BI=self._marked([self.met_before, self.met]))
        changed_I: FloatArray = np.clip(scores_I + folded_2I[1] - folded_2I[0], -1.0, 1.0)
        return changed_I

    def _marked(self, met_B: Sequence[IntArray]) -> sp.csr_array:
        """1 at these positions, a row each, shape [B, I]."""
        column_E, starts_B = np.concatenate(met_B), np.cumsum([0, *map(len, met_B)])
        shape = len(met_B), self.history.positives_UI.shape[1]
        return sp.csr_array((np.ones(len(column_E), dtype=np.float32), column_E, starts_B), shape=shape)


def _stacked(before: Histories, after: Histories) -> Histories:
    """Two rows as one block; without ages unless both have them."""
    positives_2I = sp.csr_array(sp.vstack([before.positives_UI, after.positives_UI], format="csr"))
    if before.age_UI is None or after.age_UI is None:
        return Histories(positives_2I)
    return Histories(positives_2I, sp.csr_array(sp.vstack([before.age_UI, after.age_UI], format="csr")))
