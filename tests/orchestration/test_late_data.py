"""Late data from 1 to 150 days old: none is lost, and exactly the days that it touches are made again.

Raw and mart tables of 160 days are built once; then late events, duplicates, corrections, a removed file and a new
item text arrive. What `reconcile` and the sensor say is compared with the plan and with a plain reading of the files
(`landing_oracle`); what they ask for is run, and the result compared with a home that saw all files at once.
"""

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import dagster as dg
import pytest
from dagster._core.storage.tags import ASSET_PARTITION_RANGE_END_TAG, ASSET_PARTITION_RANGE_START_TAG

from ml.days import days_through
from ml.errors import DatasetError
from ml.intake.ingest import landed_days
from ml.intake.reconcile import AS_LANDED, CHANGED, days_in_state, reconcile
from orchestration.jobs import BEHAVIOUR, REFRESH
from orchestration.sensors import landing_sensor

from .landing_oracle import write_late
from .late_world import (
    BUILT,
    DAILY,
    DUPLICATE_AGES,
    LATE_AGES,
    NUM_DAYS,
    VERSION_AGE,
    LateWorld,
    State,
    arrive_late,
    changed,
    make_late_world,
    num_events_by_day,
    written,
)

# Takes about four minutes: 160 days built twice.
pytestmark = pytest.mark.slow

DOWNSTREAM = "knowledge_graph"
# Days of the stand-in for everything downstream, before and after the item's new text. Both are days of full fits,
# the 18th and the 19th week's: a day in between would bring the one that it stands on up to date as well.
DOWNSTREAM_AGES = (VERSION_AGE + 3, VERSION_AGE - 4)


@dataclass(frozen=True)
class Arrival:
    """A world before, on and after the arrival of late data, and what was said and asked each time."""

    world: LateWorld
    touched: set[date]
    deliveries_differ: set[date]
    said_before: dict[str, list[date]]
    said_then: dict[str, list[date]]
    requests: list[dg.RunRequest]
    before: State
    after: State


def says(world: LateWorld) -> dict[str, list[date]]:
    """The days of every state that the reconciliation finds."""
    scope = world.scope
    landed = landed_days(scope.dataset, config=scope.config.intake, now=datetime.now(UTC), landed=scope.home.landed)
    found = reconcile(landed, store=scope.store, through=world.newest)
    return {state: days_in_state(found, state) for state in set(found.column("state").to_pylist())}


def asks(world: LateWorld, *, cursor: str | None = None) -> tuple[list[dg.RunRequest], str | None]:
    """What the sensor asks for, and its cursor."""
    with dg.DagsterInstance.ephemeral() as instance:
        found = landing_sensor(world.scope)(dg.build_sensor_context(instance=instance, cursor=cursor))
    return ([], cursor) if isinstance(found, dg.SkipReason) else (list(found.run_requests), found.cursor)


@pytest.fixture(scope="module")
def arrival(tmp_path_factory) -> Arrival:
    """Late data arrives in a built world, and the behaviour run that the sensor asks for is made."""
    world = make_late_world(tmp_path_factory.mktemp("late"))
    world.make(world.scope.dataset.start, world.newest)
    world.make_downstream(world.day(DOWNSTREAM_AGES[0]), world.day(DOWNSTREAM_AGES[1]))
    said_before, deliveries = says(world), world.deliveries()
    before = world.state(*BUILT, DOWNSTREAM)
    touched = arrive_late(world)
    now = world.deliveries()
    differ = {day for day in {*deliveries, *now} if deliveries[day] != now[day]}
    said_then = says(world)
    requests, _ = asks(world)
    run = requests[0]
    world.make(*(date.fromisoformat(run.tags[tag]) for tag in (ASSET_PARTITION_RANGE_START_TAG, ASSET_PARTITION_RANGE_END_TAG)))
    return Arrival(world, touched, differ, said_before, said_then, requests, before, world.state(*BUILT, DOWNSTREAM))


def test_exactly_the_touched_days_are_named(arrival) -> None:
    assert set(arrival.said_before) == {AS_LANDED}
    assert arrival.touched == arrival.deliveries_differ
    assert set(arrival.said_then) == {AS_LANDED, CHANGED}
    assert arrival.said_then[CHANGED] == sorted(arrival.touched)
    ages = {(arrival.world.newest - day).days for day in arrival.touched}
    assert {1, 150} <= ages
    assert len(ages) == len(LATE_AGES) + 10


def test_the_sensor_asks_for_the_span_and_the_newest_day(arrival) -> None:
    behaviour, newest = arrival.requests
    assert behaviour.job_name == BEHAVIOUR.name
    assert behaviour.tags[ASSET_PARTITION_RANGE_START_TAG] == arrival.world.day(150).isoformat()
    assert behaviour.tags[ASSET_PARTITION_RANGE_END_TAG] == arrival.world.day(1).isoformat()
    assert behaviour.partition_key is None
    assert (newest.job_name, newest.partition_key) == (REFRESH.name, arrival.world.newest.isoformat())
    # Without keys, so that a state of the files that comes back is asked for again.
    assert behaviour.run_key is newest.run_key is None


def test_exactly_the_touched_days_are_made_again(arrival) -> None:
    for table in DAILY:
        assert written(arrival.before, arrival.after, table) == arrival.touched, table
    assert changed(arrival.before, arrival.after, "raw_events") == arrival.touched
    # What was delivered twice counts once: the day is looked at again and comes out the same.
    twice = {arrival.world.day(age) for age in (*DUPLICATE_AGES, 74)}
    marts = [table for table in DAILY if table != "raw_events"]
    assert changed(arrival.before, arrival.after, *marts) == arrival.touched - twice


def test_snapshots_change_from_the_first_change_on_and_never_before(arrival) -> None:
    first, last = min(arrival.touched), max(arrival.touched)
    assert written(arrival.before, arrival.after, "items") == set(days_through(first, last))
    assert changed(arrival.before, arrival.after, "items") == set(days_through(first, last))
    assert written(arrival.before, arrival.after, "raw_items") == set(days_through(arrival.world.day(VERSION_AGE), last))
    for table in ("raw_users", "raw_knowledge"):
        assert written(arrival.before, arrival.after, table) == set()
    # An event of the future is of no day yet: it is known as kept out from the first day on.
    every_day = set(days_through(arrival.world.scope.dataset.start, last))
    assert changed(arrival.before, arrival.after, "quarantined_rows") == every_day


def test_nothing_is_lost_and_nothing_counts_twice(arrival) -> None:
    world, start = arrival.world, arrival.world.scope.dataset.start
    days = list(days_through(start, world.newest))
    counted = [event for event in world.landed() if not event.is_superseded]
    expected = Counter(max(event.day, start) for event in counted)
    of_items = Counter(max(event.day, start) for event in counted if event.item is not None)
    assert num_events_by_day(world, "user_activity_daily", days=days) == expected
    assert num_events_by_day(world, "interactions", days=days) == of_items
    assert num_events_by_day(world, "item_popularity_daily", days=days) == of_items
    late = {event.given_id for event in counted if event.given_id}
    assert {f"late-{age}-{which}" for age in LATE_AGES for which in ("first", "last", "new", "words")} <= late
    assert not {identity for identity in late if identity.startswith(("withdrawn", "from-the-future"))}
    assert set(says(world)) == {AS_LANDED}


def test_what_is_downstream_keeps_its_bytes_until_it_is_asked_for(arrival) -> None:
    world = arrival.world
    old, new = (world.day(age) for age in DOWNSTREAM_AGES)
    assert written(arrival.before, arrival.after, DOWNSTREAM) == set()
    world.make_downstream(new, new)
    asked = world.state(DOWNSTREAM)
    assert written(arrival.after, asked, DOWNSTREAM) == {new}
    world.make_downstream(old, new)
    # Then all that are asked for stand on the new tables, and what already does is left as it is.
    assert written(asked, world.state(DOWNSTREAM), DOWNSTREAM) == set(days_through(old, new - timedelta(days=1)))


def test_files_that_come_and_go(arrival) -> None:
    world = arrival.world
    requests, cursor = asks(world)
    assert [request.job_name for request in requests] == [REFRESH.name]
    assert asks(world, cursor=cursor) == ([], cursor)
    ghost = write_late(world.folder, "ghost.csv", [["ghost", "u00005", "i00006", "view", world.at(99, hour=3), "", ""]])
    assert says(world)[CHANGED] == [world.day(99)]
    assert [request.job_name for request in asks(world, cursor=cursor)[0]] == [BEHAVIOUR.name, REFRESH.name]
    ghost.unlink()
    assert set(says(world)) == {AS_LANDED}
    assert asks(world, cursor=cursor) == ([], cursor)
    # A file without even a header is torn: said loudly, at every look, until it is mended.
    torn = world.folder / "late" / "torn.csv"
    torn.write_bytes(b"")
    with pytest.raises(DatasetError, match="is empty"):
        asks(world, cursor=cursor)
    torn.unlink()
    assert asks(world, cursor=cursor) == ([], cursor)


def test_all_equals_a_home_that_saw_everything_at_once(arrival, tmp_path) -> None:
    """Through the day before the newest, with which the behaviour run ends; the newest is the other run's."""
    world, start = arrival.world, arrival.world.scope.dataset.start
    at_once = world.elsewhere(tmp_path / "home")
    at_once.make(start, world.day(1))
    fresh = at_once.state(*BUILT)
    made = {key: now for key, now in world.state(*BUILT).items() if key[1] < world.newest}
    assert set(fresh) == set(made)
    assert len(fresh) == len(BUILT) * (NUM_DAYS - 1)
    assert [key for key in fresh if fresh[key][1] != made[key][1]] == []


def test_an_event_of_before_the_start_touches_the_first_day_alone(arrival) -> None:
    world, start = arrival.world, arrival.world.scope.dataset.start
    write_late(world.folder, "ancient.csv", [["ancient", "u00005", "i00006", "view", world.at(500, hour=3), "", ""]])
    assert says(world)[CHANGED] == [start]
    requests, _ = asks(world)
    assert {requests[0].tags[tag] for tag in (ASSET_PARTITION_RANGE_START_TAG, ASSET_PARTITION_RANGE_END_TAG)} == {start.isoformat()}
    before = world.state(*BUILT)
    world.make(start, start)
    after = world.state(*BUILT)
    for table in DAILY:
        assert written(before, after, table) == {start}, table
    assert written(before, after, *BUILT) == {start}
    assert set(says(world)) == {AS_LANDED}
