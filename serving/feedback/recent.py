"""What users said since the release in force: in memory, from the log at the start and from every append since.

A newer release knows what was said before its `as_of`: that counts no more from then on, and is dropped with the next
change, for requests under way still ask for what their own release does not know. On the way back to an older one it is
read from the log again.
"""

import threading
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from ml.ids import UserIdBorder
from serving.feedback.entry import Accepted
from serving.feedback.statements import Statement, UserFeedback

# Reads the log's entries of a moment or later.
ReadLog = Callable[[datetime], Iterable[Accepted]]


class RecentFeedback:
    """Recent statements by user; users are inside ids. May be asked and told from any thread."""

    def __init__(self, *, since: datetime, read: ReadLog, worth: Callable[[str, float | None], float], border: UserIdBorder) -> None:
        self._read = read
        self._worth = worth
        self._border = border
        # In force, and held.
        self._since = self._held = since
        self._by_user: dict[str, dict[str, Statement]] = {}
        self._one_at_a_time = threading.Lock()

    @property
    def since(self) -> datetime:
        """The moment from which on statements count: the `as_of` of the release in force."""
        return self._since

    def users(self) -> list[str]:
        """Users who said anything, sorted."""
        with self._one_at_a_time:
            return sorted(user for user, said in self._by_user.items() if any(each.at >= self._since for each in said.values()))

    def of(self, user_id: str, *, since: datetime | None = None) -> UserFeedback:
        """What one user said since the `as_of` of the release that asks, by default the one in force; nothing if they said nothing."""
        with self._one_at_a_time:
            since = since or self._since
            return UserFeedback(tuple(said for said in self._by_user.get(user_id, {}).values() if said.at >= since))

    def add(self, accepted: Sequence[Accepted]) -> None:
        """Take up what is durable; what is known already, or older than what is held, changes nothing."""
        statements = [(self._border.inward(each.feedback.user_id), self._statement(each)) for each in accepted]
        with self._one_at_a_time:
            for user_id, said in statements:
                if said.at >= self._held:
                    self._by_user.setdefault(user_id, {}).setdefault(said.event_id, said)

    def come_into_force(self, since: datetime) -> None:
        """A release that knows everything before `since` is in force: read what it does not know; drop what the one before knew, too.

        Appends go on meanwhile. At the start it is called once the log is open.
        """
        # Read outside the lock: appends never wait for the disk here. What both say is one statement.
        read = [(self._border.inward(each.feedback.user_id), self._statement(each)) for each in self._read(since)]
        with self._one_at_a_time:
            self._since, self._held = since, min(since, self._since)
            by_user: dict[str, dict[str, Statement]] = {}
            added = [(user_id, said) for user_id, of_user in self._by_user.items() for said in of_user.values()]
            for user_id, said in (*read, *added):
                if said.at >= self._held:
                    by_user.setdefault(user_id, {}).setdefault(said.event_id, said)
            self._by_user = by_user

    def _statement(self, accepted: Accepted) -> Statement:
        said = accepted.feedback
        return Statement(
            event_id=accepted.event_id,
            kind=said.kind,
            weight=self._weight(said.kind, said.value),
            at=accepted.event_at,
            item_id=said.item_id,
            text=said.text,
        )

    def _weight(self, kind: str, value: float | None) -> float:
        try:
            return self._worth(kind, value)
        except ValueError:
            # Weights changed since it was accepted: the intake keeps it out and says why, here it counts nothing.
            return 0.0
