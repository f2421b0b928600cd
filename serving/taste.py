"""A release's scores for one person: as it knows them, and with what they said since.

Shapes: I items of the release's model, D its vectors.
"""

from collections.abc import Sequence
from datetime import datetime

import numpy as np
import pyarrow as pa
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

    def met(self, user_id: str | None) -> pa.Array:
        """Ids of the items the release knows that the user met, disliked ones too."""
        place, known = self.users.find([user_id] if user_id is not None else [])
        return self.items.take(self.model.met_UI[place[known]].indices.astype(np.int64))

    def without(self, user_index: int | None, *, said: UserFeedback, now: datetime) -> Ablation:
        """Whom reasons are asked of: their scores as they are, and without some of their likes."""
        return Ablation(self.model, self.history(user_index, said=said, now=now), self._met(user_index, said=said))

    def history(self, user_index: int | None, *, said: UserFeedback, now: datetime) -> Histories:
        """What the user likes at `now`, one row: what the release knows of them, with what they said since."""
        known = self._nothing() if user_index is None else self.model.histories.take(np.array([user_index]))
        return merged(known, said, items=self.items, half_life_days=self._half_life_days, as_of=self.as_of, now=now)

    def folded(self, *, said: UserFeedback, now: datetime) -> FloatArray | None:
        """For somebody of whom only this is known, shape [I]; None where none of their likes is an item of the release."""
        history = self.history(None, said=said, now=now)
        if not history.positives_UI.nnz:
            return None
        scores_1I = self.model.fold_in(history, met_BI=_marked([self._met(None, said=said)], num_items=len(self.items)))
        folded_I: FloatArray = scores_1I[0]
        return folded_I

    def updated(self, user_index: int, *, said: UserFeedback, now: datetime) -> FloatArray:
        """As the release scores the user, moved by what their new likes, and those they took back, change, shape [I].

        A folded-in history is scored nearly as the model scores the user it learned, not quite. Only the difference of two
        folded-in histories is therefore added, so that with nothing new the answer is the released one, to the bit.
        """
        scores_I: FloatArray = self.model.score(np.array([user_index]))[0]
        before, after = self.model.histories.take(np.array([user_index])), self.history(user_index, said=said, now=now)
        if np.array_equal(before.positives_UI.indices, after.positives_UI.indices) and not said.seen:
            return scores_I
        met = [self._met(user_index, said=UserFeedback()), self._met(user_index, said=said)]
        folded_2I = self.model.fold_in(_stacked(before, after), met_BI=_marked(met, num_items=len(self.items)))
        changed_I: FloatArray = np.clip(scores_I + folded_2I[1] - folded_2I[0], -1.0, 1.0)
        return changed_I

    def _met(self, user_index: int | None, *, said: UserFeedback) -> IntArray:
        """Positions of what the user met, ascending: at fit, and what they spoke of since."""
        before = np.zeros(0, dtype=np.int64) if user_index is None else self.model.met_UI[[user_index]].indices
        spoken_of, known = self.items.find(sorted(said.seen))
        return np.union1d(before, spoken_of[known]).astype(np.int64)

    def _nothing(self) -> Histories:
        empty_1I = sp.csr_array((1, len(self.items)), dtype=np.float32)
        return Histories(empty_1I, empty_1I.copy() if self.model.histories.age_UI is not None else None)


def _marked(met_B: Sequence[IntArray], *, num_items: int) -> sp.csr_array:
    """1 at these positions, a row each, shape [B, I]."""
    starts_B = np.cumsum([0, *map(len, met_B)])
    column_E = np.concatenate(met_B)
    return sp.csr_array((np.ones(len(column_E), dtype=np.float32), column_E, starts_B), shape=(len(met_B), num_items))


def _stacked(before: Histories, after: Histories) -> Histories:
    """Two rows as one block; without ages unless both have them."""
    positives_2I = sp.csr_array(sp.vstack([before.positives_UI, after.positives_UI], format="csr"))
    if before.age_UI is None or after.age_UI is None:
        return Histories(positives_2I)
    return Histories(positives_2I, sp.csr_array(sp.vstack([before.age_UI, after.age_UI], format="csr")))
