"""A release's scores for one person: as it knows them, and with what has happened since.

Shapes: I items of the release's model, D its vectors.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import scipy.sparse as sp

from ml.ids import FloatArray, IntArray, Vocabulary
from ml.models.histories import Histories
from ml.models.hybrid.hybrid import Hybrid
from ml.training.candidate import FittedModel

# What one like just now weighs, as affinities do, and its age in days.
LIKE_WEIGHT, JUST_NOW = 1.0, 1e-3


@dataclass(frozen=True)
class Lately:
    """What somebody did that the release does not know: likes with their ages in days, and what they want no more of."""

    liked: Mapping[str, float] = field(default_factory=dict)
    disliked: frozenset[str] = frozenset()
    met: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.liked or self.disliked)


class Taste:
    """Scores in [-1, 1] of the release's items, for users of fit and for anybody with likes."""

    def __init__(self, fitted: FittedModel) -> None:
        self._model: Hybrid = fitted.model
        self.users, self.items = fitted.users, fitted.items
        self._num_likes_U = fitted.num_likes_U
        self.vectors_ID = fitted.model.item_vectors

    def user_index(self, user_id: str | None) -> int | None:
        """Where the user is in the model, None for somebody it does not know or of whom it knows no like."""
        if user_id is None:
            return None
        place, known = self.users.find([user_id])
        return int(place[0]) if known[0] and self._num_likes_U[place[0]] > 0 else None

    def met(self, user_id: str | None) -> pa.Array:
        """Ids of the items the release knows that the user met, disliked ones too."""
        place, known = self.users.find([user_id] if user_id else [])
        return self.items.take(self._model.met_UI[place[known]].indices.astype(np.int64))

    def likes(self, user_index: int) -> Histories:
        """What the release knows that the user likes, one row."""
        return self._model.histories.take(np.array([user_index]))

    def known(self, user_index: int) -> FloatArray:
        """As the release scores a user of fit, shape [I]."""
        scores_I: FloatArray = self._model.score(np.array([user_index]))[0]
        return scores_I

    def folded(self, lately: Lately) -> FloatArray | None:
        """For somebody of whom only this is known; None where none of their likes is an item of the release."""
        history = merged(None, lately, items=self.items)
        return self._model.fold_in(history)[0] if history.positives_UI.nnz else None

    def updated(self, user_index: int, lately: Lately) -> FloatArray:
        """As the release scores the user, moved by what their new likes, and those they took back, change.

        A folded-in history is scored nearly as the model scores the user it learned, not quite. Only the difference of two fold-ins
        is therefore added, so that with nothing new the answer is the released one, to the bit.
        """
        scores_I = self.known(user_index)
        before = self.likes(user_index)
        after = merged(before, lately, items=self.items)
        if same(before, after):
            return scores_I
        both = Histories(sp.vstack([before.positives_UI, after.positives_UI], format="csr"), _stacked_ages(before, after))
        folded_2I = self._model.fold_in(both)
        changed_I: FloatArray = np.clip(scores_I + folded_2I[1] - folded_2I[0], -1.0, 1.0)
        return changed_I


def merged(history: Histories | None, lately: Lately, *, items: Vocabulary) -> Histories:
    """One row: the history without what is disliked since, and with what is liked; items the release does not know are left out."""
    weight_by_item, age_by_item = _row(history)
    for position in _positions(lately.disliked, items=items).tolist():
        weight_by_item.pop(position, None)
    for item_id, age in lately.liked.items():
        for position in _positions([item_id], items=items).tolist():
            weight_by_item[position] = max(weight_by_item.get(position, 0.0), LIKE_WEIGHT)
            age_by_item[position] = max(age, JUST_NOW)
    column = np.array(sorted(weight_by_item), dtype=np.int64)
    place = (np.zeros(len(column), dtype=np.int64), column)
    values = [np.array([found[item] for item in column.tolist()], dtype=np.float32) for found in (weight_by_item, age_by_item)]
    positives_1I, age_1I = (sp.csr_array((value, place), shape=(1, len(items))) for value in values)
    return Histories(positives_1I, age_1I)


def same(left: Histories, right: Histories) -> bool:
    """Whether two rows are the same likes of the same ages."""
    return _row(left) == _row(right)


def _row(history: Histories | None) -> tuple[dict[int, float], dict[int, float]]:
    if history is None:
        return {}, {}
    items = history.positives_UI.indices.tolist()
    return dict(zip(items, history.positives_UI.data.tolist(), strict=True)), dict(zip(items, history.ages.tolist(), strict=True))


def _stacked_ages(before: Histories, after: Histories) -> sp.csr_array | None:
    if before.age_UI is None or after.age_UI is None:
        return None
    return sp.csr_array(sp.vstack([before.age_UI, after.age_UI], format="csr"))


def _positions(item_ids: Iterable[str], *, items: Vocabulary) -> IntArray:
    found, known = items.find(sorted(item_ids))
    return found[known]
