"""What one user said lately, and what their likes come to with it.

A like, a purchase or a rating above 0 takes back an earlier refusal; a dislike, a hide or a rating below 0
takes back earlier likes; a click only adds. Between such statements weights add up and fade as those of all
events do (`ml.interests.affinities`). Shapes: I items, E likes.
"""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from ml.ids import IntArray, Vocabulary
from ml.interests.affinities import ROUNDING
from ml.models.histories import Histories

REFUSALS = frozenset({"dislike", "hide"})
DAY = timedelta(days=1)
# A like of this very moment has an age too: ages are above 0.
YOUNGEST_DAYS = 1e-6
# A like so old that its weight vanishes is still a like.
FAINTEST = float(np.finfo(np.float32).tiny)
# log1p of weights never comes near; what is read from a faded like stays finite.
MOST_AFFINITY = 50.0


@dataclass(frozen=True)
class Statement:
    """One thing a user said: its worth by the dataset's weights, and when the service accepted it."""

    event_id: str
    kind: str
    weight: float
    at: datetime
    item_id: str | None = None
    text: str | None = None

    @property
    def is_affirmation(self) -> bool:
        """Whether it takes back what was said against the item before."""
        return self.kind in {"like", "purchase"} or (self.kind == "rating" and self.weight > 0)

    @property
    def is_refusal(self) -> bool:
        """Whether it takes back what was said for the item before."""
        return self.kind in REFUSALS or (self.kind == "rating" and self.weight < 0)


@dataclass(frozen=True)
class UserFeedback:
    """Everything a user said since the release in force, oldest first."""

    statements: tuple[Statement, ...] = ()

    @property
    def seen(self) -> frozenset[str]:
        """Items the user said anything about."""
        return frozenset(said.item_id for said in self.statements if said.item_id is not None)

    @property
    def never_again(self) -> frozenset[str]:
        """Items the user disliked or hid, and did not like since."""
        hidden: set[str] = set()
        for said in self.statements:
            if said.item_id is not None and said.kind in REFUSALS:
                hidden.add(said.item_id)
            elif said.item_id is not None and said.is_affirmation:
                hidden.discard(said.item_id)
        return frozenset(hidden)

    @property
    def texts(self) -> tuple[Statement, ...]:
        """What carries the user's own words, newest first."""
        return tuple(said for said in reversed(self.statements) if said.text is not None)

    @property
    def liked(self) -> tuple[str, ...]:
        """Items that what was said speaks for, the one last spoken of first."""
        return tuple(item for item, net in reversed(self._nets().items()) if net.weight > ROUNDING)

    @property
    def disliked(self) -> tuple[str, ...]:
        """Items that what was said speaks against, the one last spoken of first."""
        return tuple(item for item, net in reversed(self._nets().items()) if net.weight < -ROUNDING)

    def _nets(self) -> "dict[str, _Net]":
        """What was said of each item alone, the item last spoken of last."""
        nets: dict[str, _Net] = {}
        for said in self.statements:
            if said.item_id is not None:
                nets[said.item_id] = nets.pop(said.item_id, _Net(0.0, said.at)).after(said, half_life_days=math.inf)
        return nets


@dataclass(frozen=True)
class _Net:
    """The sum of weights of a user and an item as of the last event behind it."""

    weight: float
    at: datetime

    @classmethod
    def of_like(cls, affinity: float, *, age_days: float, as_of: datetime, half_life_days: float) -> "_Net":
        """What an affinity was made from: the inverse of `ml.interests.affinities`, up to rounding."""
        unfaded = affinity / max(_fading(age_days, half_life_days), np.finfo(np.float64).tiny)
        return cls(math.expm1(min(unfaded, MOST_AFFINITY)), as_of - age_days * DAY)

    def after(self, said: Statement, *, half_life_days: float) -> "_Net":
        """With one more statement."""
        before = self.weight * _fading((said.at - self.at) / DAY, half_life_days)
        if said.is_affirmation:
            before = max(before, 0.0)
        elif said.is_refusal:
            before = min(before, 0.0)
        return _Net(before + said.weight, said.at)

    def affinity(self, *, now: datetime, half_life_days: float) -> float:
        """As a like's weight at `now`, above 0."""
        faded = math.log1p(self.weight) * _fading((now - self.at) / DAY, half_life_days)
        return max(faded, FAINTEST)


def merged(
    histories: Histories, feedback: UserFeedback, *, items: Vocabulary, half_life_days: float, as_of: datetime, now: datetime
) -> Histories:
    """A user's row with what they said since `as_of`, as it is at `now`; both [1, I] over `items`, items outside are left out.

    `histories` is the release's row: empty for a user it does not know. A user who said nothing keeps the row as it is.
    Raises `ValueError` for a row over other items.
    """
    if histories.positives_UI.shape != (1, len(items)):
        raise ValueError(f"the row has shape {histories.positives_UI.shape}, expected {(1, len(items))}; take it over the release's items")
    said = [each for each in feedback.statements if each.item_id is not None]
    found, known = items.find([str(each.item_id) for each in said])
    if not known.any():
        return histories
    row, age_E = histories.positives_UI, histories.ages
    nets = {
        int(row.indices[place]): _Net.of_like(
            float(row.data[place]), age_days=float(age_E[place]), as_of=as_of, half_life_days=half_life_days
        )
        for place in np.flatnonzero(np.isin(row.indices, found))
    }
    for each, position in zip(said, found.tolist(), strict=True):
        if position >= 0:
            nets[position] = nets.get(position, _Net(0.0, each.at)).after(each, half_life_days=half_life_days)
    likes = {position: net for position, net in nets.items() if net.weight > ROUNDING}
    elapsed = (now - as_of) / DAY
    # What was not spoken of only grows older.
    kept_E = ~np.isin(row.indices, found)
    item_E = np.concatenate([row.indices[kept_E], np.array(list(likes), dtype=np.int64)])
    weights = [net.affinity(now=now, half_life_days=half_life_days) for net in likes.values()]
    weight_E = np.concatenate([np.maximum(row.data[kept_E] * _fading(elapsed, half_life_days), FAINTEST), weights])
    ages = [max((now - net.at) / DAY, YOUNGEST_DAYS) for net in likes.values()]
    positives_1I = _row(item_E, weight_E, num_items=len(items))
    is_aged = histories.age_UI is not None or not row.nnz
    return Histories(positives_1I, _row(item_E, np.concatenate([age_E[kept_E] + elapsed, ages]), num_items=len(items)) if is_aged else None)


def _row(item_E: IntArray, value_E: npt.NDArray[np.float64], *, num_items: int) -> sp.csr_array:
    order = np.argsort(item_E)
    return sp.csr_array((value_E[order].astype(np.float32), item_E[order], [0, len(order)]), shape=(1, num_items))


def _fading(days: float, half_life_days: float) -> float:
    return float(np.exp2(-max(days, 0.0) / half_life_days))
