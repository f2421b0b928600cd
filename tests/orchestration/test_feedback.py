"""Feedback in a built world: no word of it in the dataset file, and it is in the marts of its day after the next run."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import pyarrow.compute as pc
import pytest

from examples.shop.simulate import SampleSettings, write_sample
from ml.contracts.behaviour import INTERACTIONS, USER_TEXTS
from ml.contracts.files import write_text
from orchestration.jobs import BEHAVIOUR, REFRESH
from orchestration.sensors import landing_sensor
from serving.feedback.entry import Accepted, Feedback, to_line

from .late_world import LateWorld

USER, ITEM = "u00003", "i00005"


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> LateWorld:
    folder = tmp_path_factory.mktemp("feedback")
    settings = SampleSettings(num_users=20, num_items=40, num_days=8)
    world = LateWorld(write_sample(folder / "landing", settings=settings).parent, folder / "home", settings.last_day)
    world.make(world.scope.dataset.start, world.newest)
    return world


def say(world: LateWorld, at: datetime, *given: Feedback) -> Path:
    content = b"".join(to_line(Accepted(feedback, at)) for feedback in given).decode()
    return write_text(content, world.scope.home.feedback / f"{at.date()}-0001.jsonl")


def tick(world: LateWorld, cursor: str | None) -> dg.SensorResult | dg.SkipReason:
    with dg.DagsterInstance.ephemeral() as instance:
        return landing_sensor(world.scope)(dg.build_sensor_context(instance=instance, cursor=cursor))


def weight_of(world: LateWorld, item: str, day: date) -> float | None:
    found = world.scope.store.read(INTERACTIONS, day=day)
    found = found.filter(pc.and_(pc.equal(found.column("user_id"), USER), pc.equal(found.column("item_id"), item)))
    return found.column("weight")[0].as_py() if found.num_rows else None


def test_feedback_is_in_the_marts_of_its_day_after_the_next_run(world) -> None:
    day = world.day(1)
    before = weight_of(world, ITEM, day) or 0.0
    cursor = tick(world, None).cursor
    kinds = ("like", "click")
    rating = Feedback(key="r", user_id=USER, kind="rating", item_id="unlisted", value=5.0, text="worth it")
    say(
        world,
        world.at(1, hour=10),
        *(Feedback(key=kind, user_id=USER, kind=kind, item_id=ITEM) for kind in kinds),
        rating,
        Feedback(key="t", user_id=USER, kind="text", text="for rainy hikes"),
    )
    found = tick(world, cursor)
    assert [request.job_name for request in found.run_requests] == [BEHAVIOUR.name, REFRESH.name]
    world.make(day, day)
    # Like and click by our weights, the rating by the sample's own: 2 * (value - 3).
    assert weight_of(world, ITEM, day) == pytest.approx(before + 4.0)
    assert weight_of(world, "unlisted", day) == 4.0
    words = world.scope.store.read(USER_TEXTS, day=day)
    assert {"worth it", "for rainy hikes"} <= set(words.filter(pc.equal(words.column("user_id"), USER)).column("text").to_pylist())


def test_feedback_of_today_alone_asks_for_nothing(world) -> None:
    cursor = tick(world, None).cursor
    now = datetime.now(UTC)
    say(world, now, Feedback(key="now", user_id=USER, kind="like", item_id=ITEM))
    found = tick(world, cursor)
    assert (found.run_requests, found.skip_reason.skip_message) == ([], "only feedback came, of a day that is not complete")
    assert isinstance(tick(world, found.cursor), dg.SkipReason)
    # Yesterday is complete now, and so is what was said on it.
    say(world, now - timedelta(days=1), Feedback(key="yesterday", user_id=USER, kind="like", item_id=ITEM))
    complete = tick(world, found.cursor)
    (request,) = complete.run_requests
    assert (request.job_name, request.partition_key) == (REFRESH.name, str((now - timedelta(days=1)).date()))
    # While that run is under way, more of today asks for no second one.
    say(world, now, *(Feedback(key=key, user_id=USER, kind="like", item_id=ITEM) for key in ("now", "later")))
    assert not tick(world, complete.cursor).run_requests
