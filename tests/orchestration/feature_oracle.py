"""What was known of a user or an item at a moment, counted event by event from what landed.

The plain reading of docs/features.md and docs/tables.md: a day is known from its end on, for `ttl`; windows are
the 28 days before that end. Nothing here imports SQL, features or Feast.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from itertools import pairwise
from typing import TypeVar

from .landing_oracle import LandedEvent

Key = TypeVar("Key")
DAY = timedelta(days=1)
WINDOW = timedelta(days=28)
SILENCE = timedelta(minutes=30)
USER_FEATURES = ("num_interactions", "num_interactions_28d", "num_sessions_28d", "days_since_last_event", "is_cold_start")
ITEM_FEATURES = ("num_users_28d", "total_weight_28d", "popularity_rank")


@dataclass(frozen=True)
class FeatureOracle:
    """Features as of any moment, of the partitions `first` to `last`; `look_ahead` is a planted mistake: days become known too early."""

    events: Sequence[LandedEvent]
    listed: Sequence[tuple[str, datetime]]
    first: date
    last: date
    ttl: timedelta
    cold_user_interactions: int
    window: timedelta = WINDOW
    look_ahead: timedelta = timedelta(0)
    _ranks: dict[datetime, dict[str, int]] = field(default_factory=dict)

    def known_at(self, moment: datetime) -> datetime | None:
        """The end of the newest partition that a moment may know of; None where there is none or it is too old."""
        midnight = datetime.combine((moment + self.look_ahead).date(), time(), UTC)
        end = min(midnight, datetime.combine(self.last, time(), UTC) + DAY)
        return end if end > datetime.combine(self.first, time(), UTC) and moment - end <= self.ttl else None

    def user(self, user: str, moment: datetime) -> tuple[object, ...]:
        """`USER_FEATURES`, all None for a user without an event."""
        end = self.known_at(moment)
        before = [event for event in self._of_users.get(user, ()) if end and event.at < end]
        if end is None or not before:
            return (None,) * len(USER_FEATURES)
        weights: dict[tuple[str, date], float] = defaultdict(float)
        for event in before:
            if event.item is not None:
                weights[event.item, event.day] += event.weight
        recent = [event for event in before if event.at >= end - self.window]
        return (
            len(weights),
            sum(day >= (end - self.window).date() for _, day in weights),
            num_sessions(recent),
            (end - max(event.at for event in before)) // DAY,
            sum(weight > 0 for weight in weights.values()) < self.cold_user_interactions,
        )

    def item(self, item: str, moment: datetime) -> tuple[object, ...]:
        """`ITEM_FEATURES`, all None for an item that was neither listed nor met."""
        end = self.known_at(moment)
        if end is None or item not in self.ranks(end):
            return (None,) * len(ITEM_FEATURES)
        num_users, weight = self._popularity(item, end)
        return num_users, weight, self.ranks(end)[item]

    def ranks(self, end: datetime) -> dict[str, int]:
        """Every item known at a day's end: most user-days first, then most weight, then the smaller id."""
        if end not in self._ranks:
            listed = {item for item, at in self.listed if at < end}
            met = {item for item, events in self._of_items.items() if any(event.at < end for event in events)}
            popularity = {item: self._popularity(item, end) for item in listed | met}
            best_first = sorted(popularity, key=lambda item: (-popularity[item][0], -popularity[item][1], item))
            self._ranks[end] = {item: rank for rank, item in enumerate(best_first, start=1)}
        return self._ranks[end]

    def _popularity(self, item: str, end: datetime) -> tuple[int, float]:
        recent = [event for event in self._of_items.get(item, ()) if end - self.window <= event.at < end]
        return len({(event.user, event.day) for event in recent}), sum((event.weight for event in recent), 0.0)

    @cached_property
    def _of_users(self) -> dict[str, list[LandedEvent]]:
        return _grouped((event.user, event) for event in self.events)

    @cached_property
    def _of_items(self) -> dict[str, list[LandedEvent]]:
        return _grouped((event.item, event) for event in self.events if event.item is not None)


def num_sessions(events: Iterable[LandedEvent]) -> int:
    """Sessions of one user: given ones by their name, the others until 30 minutes of silence; midnight ends every one."""
    total = 0
    for (_, session), found in _grouped(((event.day, event.session), event) for event in events).items():
        moments = sorted(event.at for event in found)
        gaps = sum(later - earlier >= SILENCE for earlier, later in pairwise(moments))
        total += 1 if session is not None else 1 + gaps
    return total


def _grouped(pairs: Iterable[tuple[Key, LandedEvent]]) -> dict[Key, list[LandedEvent]]:
    found: dict[Key, list[LandedEvent]] = defaultdict(list)
    for key, event in pairs:
        found[key].append(event)
    return found
