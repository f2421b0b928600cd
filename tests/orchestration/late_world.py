"""A shop of 160 days and a few people whose raw and mart days are made, and everything that may arrive in its landing files afterwards."""

import gzip
import json
import os
import shutil
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import dagster as dg
from dagster._core.storage.tags import ASSET_PARTITION_RANGE_END_TAG, ASSET_PARTITION_RANGE_START_TAG

from examples.shop.simulate import SampleSettings, write_sample
from ml.contracts.behaviour import MART_TABLES, RAW_TABLES
from orchestration.definitions import build_definitions
from orchestration.environment import read_environment
from orchestration.jobs import BEHAVIOUR, REFRESH
from orchestration.scope import Scope, load_scope

from .landing_oracle import LandedEvent, landed_events, with_late_source, write_late

NUM_DAYS = 160
DAY = timedelta(days=1)
BUILT = [table.name for table in (*RAW_TABLES, *MART_TABLES)]
DAILY = [table.name for table in (*RAW_TABLES, *MART_TABLES) if table.grain == "daily"]
# The first deliveries are older than every file of the simulation, so that what arrives later is newer.
AN_HOUR = 3600
LATE_AGES = (1, 2, 3, 5, 8, 13, 21, 27, 28, 29, 34, 55, 89, 101, 120, 133, 144, 149, 150)
DUPLICATE_AGES = (60, 61)
VERSION_AGE = 30
# A view that moves, a rating of another number, a purchase of another item, a cart that was a view, one delivered again unchanged.
CORRECTED = {"moves": (70, 90), "changes": (71, 71), "other-item": (72, 72), "other-kind": (73, 73), "unchanged": (74, 74)}
WITHDRAWN_AGES = (40, 77)

State = dict[tuple[str, date], tuple[int, bytes]]


@dataclass(frozen=True)
class LateWorld:
    """Landing files and a home; days are told by their age, counted back from the newest."""

    folder: Path
    home: Path
    newest: date

    @property
    def scope(self) -> Scope:
        """Home, dataset and settings as they are now."""
        environ = {"INTEREST_GRAPH_HOME": str(self.home), "INTEREST_GRAPH_DATASET": str(self.folder / "shop.yaml")}
        return load_scope(read_environment(environ))

    def day(self, age: int) -> date:
        """The day of an age."""
        return self.newest - age * DAY

    def at(self, age: int, **moment: int) -> datetime:
        """A moment of the day of an age."""
        return datetime.combine(self.day(age), time(**moment), UTC)

    def make(self, first: date, last: date, *, job: str = BEHAVIOUR.name, only: Sequence[str] = ()) -> None:
        """Run a job over a range of days in this process, as the daemon would."""
        definitions = build_definitions(self.scope).resolve_job_def(job)
        tags = {ASSET_PARTITION_RANGE_START_TAG: first.isoformat(), ASSET_PARTITION_RANGE_END_TAG: last.isoformat()}
        selection = [self.scope.key(name) for name in only] or None
        with dg.DagsterInstance.ephemeral() as instance:
            quiet = {"loggers": {"console": {}}}
            definitions.execute_in_process(instance=instance, tags=tags, asset_selection=selection, run_config=quiet)

    def make_downstream(self, first: date, last: date) -> None:
        """The knowledge graph of some days, which stands for all that is made from the marts."""
        self.make(first, last, job=REFRESH.name, only=["knowledge_graph"])

    def state(self, *names: str) -> State:
        """Write time and bytes of every partition of some tables."""
        store = self.scope.store
        paths = {(name, day): store.path(name, day) for name in names for day in store.days(name)}
        return {key: (path.stat().st_mtime_ns, path.read_bytes()) for key, path in paths.items()}

    def elsewhere(self, home: Path) -> "LateWorld":
        """The same landing files with another home, that only has dbt's parsed manifest."""
        shutil.copytree(self.home / "dbt", home / "dbt", ignore=shutil.ignore_patterns("run-*"))
        return LateWorld(self.folder, home, self.newest)

    def landed(self) -> list[LandedEvent]:
        """Every good delivery, by the oracle."""
        return landed_events(self.folder, now=datetime.now(UTC))

    def deliveries(self) -> dict[date, set[tuple[object, ...]]]:
        """By partition day, all that a raw event is, by the oracle."""
        found: dict[date, set[tuple[object, ...]]] = defaultdict(set)
        start = self.scope.dataset.start
        for event in self.landed():
            found[max(event.day, start)].add((event.identity, event.session, event.place[1:], event.is_superseded))
        return found


def written(before: State, after: State, *names: str) -> set[date]:
    """The days on which a partition of one of the tables is another file than before, or is new."""
    return {day for (name, day), now in after.items() if name in names and before.get((name, day), (0, b""))[0] != now[0]}


def changed(before: State, after: State, *names: str) -> set[date]:
    """The days on which a partition of one of the tables has other bytes than before."""
    return {day for (name, day), now in after.items() if name in names and before.get((name, day), (0, b""))[1] != now[1]}


def make_late_world(folder: Path) -> LateWorld:
    """The world before anything was late: simulated files, first deliveries of events with ids, a file that is withdrawn later."""
    settings = SampleSettings(num_users=20, num_items=40, num_days=NUM_DAYS)
    dataset_file = write_sample(folder / "landing", settings=settings)
    with_late_source(dataset_file)
    # Item texts may come in several files.
    dataset_file.write_text(dataset_file.read_text(encoding="utf-8").replace("items.jsonl", "items*.jsonl"), encoding="utf-8")
    world = LateWorld(dataset_file.parent, folder / "home", settings.last_day)
    first = [[ref, *_delivered(world, ref, age)] for ref, (age, _) in CORRECTED.items()]
    withdrawn = [[f"withdrawn-{age}", "u00003", "i00003", "purchase", world.at(age, hour=9), "", ""] for age in WITHDRAWN_AGES]
    for name, rows in (("first.csv", first), ("withdrawn.csv", withdrawn)):
        path = write_late(world.folder, name, rows)
        os.utime(path, (path.stat().st_mtime - AN_HOUR,) * 2)
    return world


def _delivered(world: LateWorld, ref: str, age: int) -> list[object]:
    kind, stars = {"changes": ("rating", "5"), "other-item": ("purchase", "")}.get(ref, ("view", ""))
    return ["u00004", "i00004", kind, world.at(age, hour=10), stars, ""]


def arrive_late(world: LateWorld) -> set[date]:
    """Write everything late; returns the days that it touches."""
    rows: list[list[object]] = []
    for age in LATE_AGES:
        rows += [
            [f"late-{age}-first", "u00005", "i00006", "view", world.at(age), "", ""],
            [f"late-{age}-last", "u00006", "i00007", "purchase", world.at(age, hour=23, minute=59, second=59, microsecond=999_999), "", ""],
            [f"late-{age}-new", f"newcomer-{age}", f"unlisted-{age}", "review", world.at(age, hour=12), "4.5", "迟到的评论"],
            [f"late-{age}-words", "u00005", "", "search", world.at(age, hour=13), "", "late words"],
        ]
    rows += _corrections(world)
    rows.append(["from-the-future", "u00005", "i00006", "view", datetime.now(UTC) + 300 * DAY, "", ""])
    write_late(world.folder, "second.csv", rows)
    write_late(world.folder, "only-a-header.csv", [])
    for age in DUPLICATE_AGES:
        _deliver_again(world, age)
    (world.folder / "late" / "withdrawn.csv").unlink()
    list_item_again(world, "i00001", at=world.at(VERSION_AGE, hour=6), text="Now in moss green, with a longer strap.")
    ages = {*LATE_AGES, *DUPLICATE_AGES, *WITHDRAWN_AGES, *(age for pair in CORRECTED.values() for age in pair)}
    return {world.day(age) for age in ages}


def _corrections(world: LateWorld) -> list[list[object]]:
    user, item = "u00004", "i00004"
    return [
        ["moves", user, item, "view", world.at(CORRECTED["moves"][1], hour=10), "", ""],
        ["changes", user, item, "rating", world.at(CORRECTED["changes"][1], hour=10), "1", ""],
        ["other-item", user, "i00008", "purchase", world.at(CORRECTED["other-item"][1], hour=10), "", ""],
        ["other-kind", user, item, "cart", world.at(CORRECTED["other-kind"][1], hour=10), "", ""],
        ["unchanged", *_delivered(world, "unchanged", CORRECTED["unchanged"][1])],
    ]


def _deliver_again(world: LateWorld, age: int) -> None:
    """A file with all good lines of a day once more; ids are hashes here."""
    source = world.folder / "events" / f"{world.day(age)}.csv.gz"
    (world.folder / "events" / f"again-{age}.csv.gz").write_bytes(gzip.compress(gzip.decompress(source.read_bytes()), mtime=0))


def list_item_again(world: LateWorld, item: str, *, at: datetime, text: str) -> None:
    """Another text of an item, from a moment on."""
    lines = (world.folder / "catalogue" / "items.jsonl").read_text(encoding="utf-8").splitlines()
    (row,) = (row for row in map(json.loads, lines) if row["sku"] == item)
    version = {**row, "description": text, "listed_at": at.isoformat()}
    (world.folder / "catalogue" / "items-again.jsonl").write_text(json.dumps(version) + "\n", encoding="utf-8")


def num_events_by_day(world: LateWorld, table: str, *, days: Collection[date]) -> dict[date, int]:
    """What a mart counts, by partition; days without events left out."""
    (contract,) = (each for each in MART_TABLES if each.name == table)
    store = world.scope.store
    found = {day: sum(store.read(contract, day=day).column("num_events").to_pylist()) for day in days}
    return {day: count for day, count in found.items() if count}
