"""Recent feedback on its way to Feast's push source, behind the acknowledgement and never in its way.

One thread pushes whoever said something since the last push. What cannot be pushed is pushed
again later: the log has it in any case, and the service itself asks `recent`, not Feast.
"""

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Protocol, Self

from feature_repo.push import RecentRow
from serving.feedback.recent import RecentFeedback

LOGGER = logging.getLogger(__name__)
PAUSE_SECONDS = 0.05
RETRY_SECONDS = 5.0


class PushTarget(Protocol):
    """Where rows go: `feature_repo.push.RecentFeedbackStore`."""

    def push(self, rows: Sequence[RecentRow], *, now: datetime) -> None:
        """Make these rows what is online."""
        ...


class FeedbackPusher:
    """Pushes what `recent` says of the users it is told of; `told` is a `FeedbackService`'s `on_recent`."""

    def __init__(self, target: PushTarget, *, clock: Callable[[], datetime], retry_seconds: float = RETRY_SECONDS) -> None:
        self._target = target
        self._clock = clock
        self._retry_seconds = retry_seconds
        self._waiting: dict[str, RecentFeedback] = {}
        self._online: set[str] = set()
        self._changed = threading.Condition()
        self._is_closed = False
        self._thread = threading.Thread(target=self._run, name="feedback-pusher", daemon=True)
        self._thread.start()

    def told(self, recent: RecentFeedback, user_ids: Iterable[str]) -> None:
        """Have these users (inside ids) pushed soon; returns at once."""
        with self._changed:
            self._waiting.update(dict.fromkeys(user_ids, recent))
            self._changed.notify()

    def come_into_force(self, recent: RecentFeedback) -> None:
        """Another release is in force: everybody's row again, empty for those of whom it knows all."""
        self.told(recent, {*recent.users(), *self._online})

    @property
    def num_waiting(self) -> int:
        """Users whose row online is not what they said last."""
        with self._changed:
            return len(self._waiting)

    def close(self) -> None:
        """Push what waits, once, and stop."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self) -> None:
        is_last = False
        while not is_last:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._is_closed)
                is_last, waiting = self._is_closed, dict(self._waiting)
            pushed = self._push(waiting)
            with self._changed:
                self._changed.wait_for(lambda: self._is_closed, timeout=PAUSE_SECONDS if pushed else self._retry_seconds)

    def _push(self, waiting: dict[str, RecentFeedback]) -> bool:
        # Taken out first: what is said while it is pushed waits again.
        with self._changed:
            for user_id in waiting:
                self._waiting.pop(user_id, None)
        rows = [recent_row(user_id, recent) for user_id, recent in waiting.items()]
        try:
            self._target.push(rows, now=self._clock())
        except Exception as error:  # noqa: BLE001  whatever a store raises: it is said, and tried again
            LOGGER.warning("recent feedback of %d user(s) is not online yet: %s", len(rows), error)
            with self._changed:
                self._waiting = waiting | self._waiting
            return False
        gone = {row.user_id for row in rows if row.last_event_at is None}
        # A new set: another thread may be going through the old one.
        self._online = (self._online | {row.user_id for row in rows}) - gone
        return True


def recent_row(user_id: str, recent: RecentFeedback) -> RecentRow:
    """What is pushed of one user; empty where the release in force knows all they said."""
    found = recent.of(user_id)
    last = found.statements[-1].at if found.statements else None
    return RecentRow(user_id, found.liked, tuple(dict.fromkeys((*found.never_again, *found.disliked))), last)
