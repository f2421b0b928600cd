"""Historical features equal what an oracle counts event by event from the landing files, at 10,000 random moments.

Compared, for every row: of `user_profiles` num_interactions, num_interactions_28d, num_sessions_28d,
days_since_last_event and is_cold_start; of `item_features` num_users_28d, total_weight_28d and popularity_rank.
These are all that behaviour alone decides. Not compared: interests, vectors, neighbours and recommendation lists, which
models make (what they may read is proven byte for byte in `test_order`), and titles, which are the catalogue's own.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from random import Random

import pandas as pd
import pytest

from feature_repo.repository import open_store

from .feature_oracle import DAY, ITEM_FEATURES, USER_FEATURES, WINDOW, FeatureOracle
from .landing_oracle import landed_events, listed_items, with_late_source, write_late

NUM_DAYS = 34
# Days of the simulation before the dataset's start: its first partition holds them, and windows of 28 days end inside the world.
NUM_DAYS_BEFORE = 12
NUM_ROWS = 10_000
NUM_PLANTED = 600
MICROSECOND = timedelta(microseconds=1)
FEATURES = [
    *(f"user_profiles:{feature}" for feature in USER_FEATURES),
    *(f"item_features:{feature}" for feature in ITEM_FEATURES),
]
# What is compared is decided by behaviour alone: models may be as small as they get.
QUICK_PROFILE = """
interests: {max_keyphrases: 50}
model: {embedding_size: 8, epochs: 1, warm_epochs: 1, batch_size: 1024, num_negatives: 32}
evaluation: {num_bootstrap: 10}
ranking: {top_k: 5, num_similar: 2}
monitoring: {max_sample: 100}
"""
Row = tuple[object, ...]


@dataclass(frozen=True)
class Asked:
    """Who and which item at which moment, what the store answers, and what counts it again."""

    rows: Sequence[tuple[str, str, datetime]]
    answers: Sequence[Row]
    oracle: FeatureOracle

    def differences(self, oracle: FeatureOracle) -> Iterator[tuple[tuple[str, str, datetime], Row, Row]]:
        """The rows on which an oracle and the store disagree: asked, answered, expected."""
        for row, answer in zip(self.rows, self.answers, strict=True):
            said = expected(oracle, row)
            if said != answer:
                yield row, answer, said


def expected(oracle: FeatureOracle, row: tuple[str, str, datetime]) -> Row:
    """What an oracle says to a row."""
    user, item, moment = row
    return (*oracle.user(user, moment), *oracle.item(item, moment))


@pytest.fixture(scope="module")
def asked(new_world, command, tmp_path_factory) -> Asked:
    """A world whose every day was made, and 10,000 answers of its store."""
    world = new_world("then", num_days=NUM_DAYS)
    folder, start = world.dataset_file.parent, world.first + NUM_DAYS_BEFORE * DAY
    with_late_source(world.dataset_file, start=start)
    plant(folder, first=world.first, last=world.last, rng=Random(3))
    profile = tmp_path_factory.mktemp("profile") / "quick.yaml"
    profile.write_text(QUICK_PROFILE)
    world.environ["INTEREST_GRAPH_PROFILE"] = str(profile)
    done = command(world, "backfill", str(start), str(world.last))
    assert done.returncode == 0, done.stderr[-4000:]
    scope = world.scope()
    landed = landed_events(folder, now=datetime.now(UTC))
    oracle = FeatureOracle(
        events=[event for event in landed if not event.is_superseded],
        listed=listed_items(folder),
        first=start,
        last=world.last,
        ttl=timedelta(days=scope.config.features.ttl_days),
        cold_user_interactions=scope.config.evaluation.cold_user_interactions,
    )
    rows = draw_rows(oracle, rng=Random(4))
    entities = pd.DataFrame(rows, columns=["user_id", "item_id", "event_timestamp"])
    store = open_store(scope.home, scope.config.features)
    answer = store.get_historical_features(entity_df=entities, features=FEATURES).to_arrow()
    columns = [answer.column(name.split(":")[1]).to_pylist() for name in FEATURES]
    assert answer.column("user_id").to_pylist() == [user for user, _, _ in rows]
    return Asked(rows, list(zip(*columns, strict=True)), oracle)


def plant(folder: Path, *, first: date, last: date, rng: Random) -> None:
    """What a simulation does not do: midnights to the microsecond, silences of exactly half an hour, corrections, old history, words."""
    users = [f"u{number:05d}" for number in range(1, 40)] + ["only-searches", "newcomer", "新用户"]
    items = [f"i{number:05d}" for number in range(1, 60)] + ["unlisted", "未上架"]
    rows = []
    for number in range(NUM_PLANTED):
        kind = rng.choice(["view", "cart", "purchase", "rating", "review", "search"])
        user = rng.choice(users)
        item = "" if user == "only-searches" or (kind == "search" and rng.random() < 0.7) else rng.choice(items)
        stars = rng.choice(["1", "2.5", "5", "five"]) if kind in {"rating", "review"} and item else ""
        kind = kind if item else "search"
        rows.append([f"ref-{number}", user, item, kind, planted_moment(first, last, rng), stars, "words" if not item else ""])
    for number, silence in enumerate([timedelta(minutes=30), timedelta(minutes=30) - MICROSECOND, timedelta(minutes=29)] * 4):
        begins = datetime.combine(first + (number + 10) * DAY, time(23, 0), UTC)
        rows += [[f"visit-{number}-{step}", "walks-on", "i00001", "view", begins + step * silence, "", ""] for step in range(4)]
    write_late(folder, "a.csv", rows)
    corrected = [[*row[:4], rng.choice([row[4], planted_moment(first, last, rng)]), *row[5:]] for row in rng.sample(rows, 150)]
    write_late(folder, "b.csv", [*corrected, *rng.sample(rows, 50), *corrected[:10]])


def planted_moment(first: date, last: date, rng: Random) -> datetime:
    """Any moment of the simulated days, often a midnight or its neighbour, sometimes long before them."""
    day = first - rng.choice([30, 400]) * DAY if rng.random() < 0.1 else first + rng.randrange((last - first).days + 1) * DAY
    midnight = datetime.combine(day, time(), UTC)
    if rng.random() < 0.5:
        return midnight + rng.choice([-MICROSECOND, timedelta(0), MICROSECOND])
    return midnight + timedelta(microseconds=rng.randrange(86_400_000_000))


def draw_rows(oracle: FeatureOracle, *, rng: Random) -> list[tuple[str, str, datetime]]:
    """Known and unknown ids at moments from before the first day until after the last has grown too old."""
    users = [*sorted({event.user for event in oracle.events}), "nobody", "", "u99999"]
    items = sorted({item for item, _ in oracle.listed} | {event.item for event in oracle.events if event.item})
    items += ["nothing", "i77777"]
    return [(rng.choice(users), rng.choice(items), asked_moment(oracle, rng)) for _ in range(NUM_ROWS)]


def asked_moment(oracle: FeatureOracle, rng: Random) -> datetime:
    """Half of them exactly at a midnight, or a microsecond before or after it."""
    num_days = (oracle.last - oracle.first).days + 16
    midnight = datetime.combine(oracle.first, time(), UTC) + (rng.randrange(num_days) - 4) * DAY
    if rng.random() < 0.5:
        return midnight + rng.choice([-MICROSECOND, timedelta(0), MICROSECOND])
    return midnight + timedelta(microseconds=rng.randrange(86_400_000_000))


def test_every_row_equals_what_the_landing_files_say(asked) -> None:
    different = list(asked.differences(asked.oracle))
    assert len(asked.rows) == len(asked.answers) == NUM_ROWS
    assert different == [], f"{len(different)} of {NUM_ROWS} rows differ, the first: {different[:3]}"


def test_the_rows_reach_every_case(asked) -> None:
    """Null and value, both sides of every boundary, inside and outside of the window: none of it by luck."""
    known = [asked.oracle.known_at(moment) for _, _, moment in asked.rows]
    first, last = datetime.combine(asked.oracle.first, time(), UTC) + DAY, datetime.combine(asked.oracle.last, time(), UTC) + DAY
    moments = [moment for _, _, moment in asked.rows]
    assert sum(end is None and moment < first for end, moment in zip(known, moments, strict=True)) > 100
    assert sum(end is None and moment > last for end, moment in zip(known, moments, strict=True)) > 100
    assert {moment - last for moment in moments} >= {asked.oracle.ttl + step for step in (-MICROSECOND, timedelta(0), MICROSECOND)}
    assert {end for end in known if end} == {first + number * DAY for number in range((last - first).days + 1)}
    assert {moment - moment.replace(hour=0, minute=0, second=0, microsecond=0) for moment in moments} >= {timedelta(0), MICROSECOND}
    users = [answer[: len(USER_FEATURES)] for answer in asked.answers]
    assert sum(user[0] is not None for user in users) > NUM_ROWS / 2
    assert sum(user[0] is None for user, end in zip(users, known, strict=True) if end) > 100
    assert sum(user[0] is not None and user[0] > user[1] for user in users) > 100
    assert {user[-1] for user in users} == {True, False, None}
    assert len(set(users)) > 500
    assert len({answer[len(USER_FEATURES) :] for answer in asked.answers}) > 500


def without_one_event(oracle: FeatureOracle) -> FeatureOracle:
    """All but one: the last of a visit."""
    return replace(oracle, events=[event for event in oracle.events if event.given_id != "visit-0-3"], _ranks={})


MISTAKES: dict[str, Callable[[FeatureOracle], FeatureOracle]] = {
    "a day is known one microsecond before its end": lambda oracle: replace(oracle, look_ahead=MICROSECOND, _ranks={}),
    "a day is known one microsecond after its end": lambda oracle: replace(oracle, look_ahead=-MICROSECOND, _ranks={}),
    "a value lives a microsecond longer": lambda oracle: replace(oracle, ttl=oracle.ttl + MICROSECOND, _ranks={}),
    "a value lives a microsecond less": lambda oracle: replace(oracle, ttl=oracle.ttl - MICROSECOND, _ranks={}),
    "the window is 27 days": lambda oracle: replace(oracle, window=WINDOW - DAY, _ranks={}),
    "every event happened a microsecond later": lambda oracle: replace(
        oracle, events=[replace(event, at=event.at + MICROSECOND) for event in oracle.events], _ranks={}
    ),
    "every event happened a microsecond earlier": lambda oracle: replace(
        oracle, events=[replace(event, at=event.at - MICROSECOND) for event in oracle.events], _ranks={}
    ),
    "one event is missing": without_one_event,
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_an_oracle_with_one_mistake_disagrees(asked, mistake) -> None:
    assert next(asked.differences(MISTAKES[mistake](asked.oracle)), None) is not None
