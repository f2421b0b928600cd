"""What was said is soon online, once the store takes it, and gone there when a release knows it."""

import threading
import time
from datetime import timedelta

import pytest

from feature_repo.push import RecentFeedbackStore, RecentRow
from ml.config import DatasetHome
from ml.config.pipeline import FeatureStoreConfig
from ml.ids import UserIdBorder
from ml.intake.event_worth import EventWorth
from ml.intake.feedback import DEFAULT_WEIGHTS
from serving.feedback.entry import Accepted
from serving.feedback.pusher import FeedbackPusher
from serving.feedback.recent import RecentFeedback
from tests.serving.feedback.conftest import NOON


class Target:
    """Notes what is pushed; refuses while it is told to."""

    def __init__(self) -> None:
        self.rows: dict[str, RecentRow] = {}
        self.is_down = threading.Event()
        self.num_refused = 0

    def push(self, rows, *, now) -> None:
        if self.is_down.is_set():
            self.num_refused += 1
            raise ConnectionError
        self.rows |= {row.user_id: row for row in rows}


@pytest.fixture
def recent() -> RecentFeedback:
    return RecentFeedback(since=NOON, read=lambda _: [], worth=EventWorth(DEFAULT_WEIGHTS), border=UserIdBorder("d"))


def soon(condition) -> bool:
    until = time.monotonic() + 10
    while not condition() and time.monotonic() < until:
        time.sleep(0.01)
    return condition()


def test_rows_follow_what_was_said_and_releases(recent, like, clock) -> None:
    target = Target()
    with FeedbackPusher(target, clock=clock) as pusher:
        recent.add([Accepted(like("k1"), NOON), Accepted(like("k2", item="i2", kind="hide"), NOON + timedelta(hours=1))])
        pusher.told(recent, ["u1"])
        assert soon(lambda: target.rows == {"u1": RecentRow("u1", ("i1",), ("i2",), NOON + timedelta(hours=1))})
        recent.come_into_force(NOON + timedelta(days=1))
        pusher.come_into_force(recent)
        assert soon(lambda: target.rows == {"u1": RecentRow("u1", (), (), None)})
        assert pusher.num_waiting == 0


def test_a_store_that_is_down_gets_the_newest_later(recent, like, clock) -> None:
    target = Target()
    target.is_down.set()
    with FeedbackPusher(target, clock=clock, retry_seconds=0.01) as pusher:
        recent.add([Accepted(like("k1"), NOON)])
        pusher.told(recent, ["u1"])
        assert soon(lambda: target.num_refused > 1)
        recent.add([Accepted(like("k2", item="i2"), NOON + timedelta(seconds=1))])
        pusher.told(recent, ["u1"])
        target.is_down.clear()
        assert soon(lambda: target.rows.get("u1") == RecentRow("u1", ("i2", "i1"), (), NOON + timedelta(seconds=1)))


def test_what_waits_is_pushed_before_the_end(recent, like, clock, tmp_path) -> None:
    store = RecentFeedbackStore(DatasetHome(tmp_path, "shop"), config=FeatureStoreConfig())
    recent.add([Accepted(like("k1"), NOON)])
    with FeedbackPusher(store, clock=clock) as pusher:
        pusher.told(recent, ["u1"])
    assert store.get("u1") == RecentRow("u1", ("i1",), (), NOON)
