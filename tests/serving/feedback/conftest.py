"""A clock that tests turn, a log in a folder, and feedback with as little said as needed."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from serving.feedback.entry import Accepted, Feedback
from serving.feedback.log import FeedbackLog

NOON = datetime(2024, 6, 30, 12, tzinfo=UTC)


@dataclass
class Clock:
    """Stands still until it is turned."""

    now: datetime = NOON

    def __call__(self) -> datetime:
        return self.now

    def turn(self, **by: float) -> None:
        self.now += timedelta(**by)


@dataclass
class Folder:
    """Where the log lies, and what opens it."""

    path: Path
    clock: Clock

    def open(self, **given: Any) -> FeedbackLog:
        return FeedbackLog(self.path, clock=self.clock, **given)

    def files(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in sorted(self.path.glob("*.jsonl"))}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def folder(tmp_path: Path, clock: Clock) -> Folder:
    return Folder(tmp_path / "home" / "feedback", clock)


@pytest.fixture
def like() -> Callable[..., Feedback]:
    return lambda key, user="u1", item="i1", **more: Feedback(key=key, user_id=user, kind=more.pop("kind", "like"), item_id=item, **more)


@pytest.fixture
def append() -> Callable[[FeedbackLog, Sequence[Feedback]], list[Accepted]]:
    """All of them one after the other, each when the one before is acknowledged."""

    def done(log: FeedbackLog, given: Sequence[Feedback]) -> list[Accepted]:
        async def each() -> list[Accepted]:
            return [await log.append(feedback) for feedback in given]

        return asyncio.run(each())

    return done
