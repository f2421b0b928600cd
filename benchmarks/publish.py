"""Looking up while features are published: who meets a mixed answer, an error or a wait; and what a kill leaves behind.

Fifty readers ask for the same users again and again, each answer ten users at once, while day after day is published.
An answer is mixed if its rows are of more than one day. Ours by look-up and over HTTP, beside what Feast does by itself:
`materialize` into one project. Then a publish is killed at twenty random moments; after each kill the answers are looked
at, the publish is run again and looked at once more. SQLite, and Redis where this machine has redis-server.

python -m benchmarks.publish [--quick] [--json FILE] [--only sqlite redis]
"""

import io
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext, redirect_stderr, redirect_stdout
from datetime import UTC, date, datetime, timedelta
from random import Random

import httpx
import numpy as np
from feast import FeatureStore
from feast.repo_config import RepoConfig

from benchmarks.publishing.readers import FORK, READER_PROCESSES, THREADS_EACH, Ask, Days, Readings, read_once, watched
from benchmarks.publishing.servers import feature_server, redis_server
from benchmarks.publishing.world import NUM_ASKED, Size, World, new_world
from benchmarks.report import Options, Row, asked, parse_options, publish
from feature_repo.definitions import definitions
from feature_repo.lookup import FeatureLookup
from feature_repo.publish import publish as publish_features
from ml.config.pipeline import FeatureStoreConfig
from ml.days import as_of

FULL = Size(num_users=5_000, num_items=1_000, num_publishes=10, num_materialized=3, num_kills=20)
QUICK = Size(num_users=500, num_items=100, num_publishes=10, num_materialized=3, num_kills=20)


def main(options: Options) -> None:
    """Measure each store and publish the table."""
    size = QUICK if options.quick else FULL
    rows: list[Row] = []
    notes = [
        f"{READER_PROCESSES * THREADS_EACH} readers in {READER_PROCESSES} processes, {NUM_ASKED} users an answer; "
        f"{size.num_users:,} users and {size.num_items:,} items a publish, {os.cpu_count()} cores shared with the publisher",
        "mixed: answers whose rows are of more than one day; latencies are of readers that never pause, so they queue for the cores",
        f"killed: {size.num_kills} publishes killed at random moments; the answers are those after each kill and after the next run",
    ]
    for name in asked({"sqlite": None, "redis": None}, options=options):
        if name == "redis" and shutil.which("redis-server") is None:
            notes.append("no redis-server here")
            continue
        with redis_server() if name == "redis" else nullcontext() as port:
            rows += _measure(_settings(name, port), size=size)
    publish("publish", rows, options=options, notes=notes)


def _settings(name: str, port: int | None) -> FeatureStoreConfig:
    if name == "redis":
        return FeatureStoreConfig(online_store="redis", redis_connection=f"127.0.0.1:{port}")
    return FeatureStoreConfig(online_store="sqlite")


def _measure(config: FeatureStoreConfig, *, size: Size) -> Iterator[Row]:
    with new_world(size) as world:
        ours = _Ours(world, config)
        yield _row(config, "look-up, nothing published", *watched(ours.asking, lambda: time.sleep(5)))
        yield _row(config, "look-up", *watched(ours.asking, ours.publish_days(size)), num_publishes=size.num_publishes)
    with new_world(size) as world:
        served = _Ours(world, config)
        with feature_server(world.home, config) as port:
            yield _row(
                config,
                "over HTTP",
                *watched(lambda: _asking_http(port, world.asked), served.publish_days(size)),
                num_publishes=size.num_publishes,
            )
    with new_world(size) as world:
        feast = _PlainFeast(world, config)
        found = watched(feast.asking, feast.publish_days(size))
        yield _row(config, "Feast's materialize", *found, num_publishes=size.num_materialized)
    with new_world(size) as world:
        yield _row(config, "killed", *_killed(_Ours(world, config), size=size), num_publishes=size.num_kills)


def _row(config: FeatureStoreConfig, way: str, found: Readings, seconds: float, *, num_publishes: int = 0) -> Row:
    latencies = 1e3 * np.array(found.seconds)
    return {
        "store": config.online_store,
        "way": way,
        "publishes": num_publishes,
        "s a publish": seconds / num_publishes if num_publishes else None,
        "answers": len(latencies),
        "mixed": found.num_mixed,
        "errors": len(found.errors),
        "p50 ms": float(np.percentile(latencies, 50)),
        "p99 ms": float(np.percentile(latencies, 99)),
        "max ms": float(latencies.max()),
        "first error": found.errors[0] if found.errors else None,
    }


class _Ours:
    """A publish of ours, and its look-ups."""

    def __init__(self, world: World, config: FeatureStoreConfig) -> None:
        self.world = world
        self.config = config
        publish_features(world.home, config=config, day=world.write(0))

    def asking(self) -> Ask:
        """A look-up of the asked users, all in one answer."""
        reader, users = FeatureLookup(self.world.home, config=self.config), self.world.asked
        now = datetime(2026, 3, 1, tzinfo=UTC)
        return lambda: {found.features["num_interactions"] for found in reader.get_many("user_profile", users, now=now)}

    def publish_days(self, size: Size) -> Callable[[], None]:
        """Publishes of so many days, one after another; their tables are written before."""
        days = [self.world.write(number) for number in range(1, size.num_publishes + 1)]

        def publish_all() -> None:
            for day in days:
                self.publish(day)

        return publish_all

    def publish(self, day: date) -> None:
        """Publish a day."""
        publish_features(self.world.home, config=self.config, day=day)


class _PlainFeast:
    """Feast as its documentation sets it up: one project, rows replaced in place."""

    def __init__(self, world: World, config: FeatureStoreConfig) -> None:
        folder = world.home.base / "plain"
        folder.mkdir(parents=True)
        online: dict[str, object] = {"type": "sqlite", "path": str(folder / "online.db")}
        if config.online_store == "redis":
            online = {"type": "redis", "connection_string": config.redis_connection}
        self._settings = {
            "project": "plain",
            "provider": "local",
            "registry": {"path": str(folder / "registry.db")},
            "online_store": online,
            "offline_store": {"type": "file"},
            "entity_key_serialization_version": 3,
        }
        self._world = world
        self._open().apply(definitions(world.home.tables, ttl=timedelta(days=config.ttl_days)).all())
        self._materialize(world.write(0))

    def asking(self) -> Ask:
        """The same question in Feast's own words."""
        store = self._open()
        entities = [{"user_id": user} for user in self._world.asked]

        def ask() -> Days:
            service = store.get_feature_service("user_profile", allow_cache=True)
            return set(store.get_online_features(service, entities).to_dict()["num_interactions"])

        return ask

    def publish_days(self, size: Size) -> Callable[[], None]:
        """So many days materialized, one after another."""
        days = [self._world.write(number) for number in range(1, size.num_materialized + 1)]

        def materialize_all() -> None:
            for day in days:
                self._materialize(day)

        return materialize_all

    def _open(self) -> FeatureStore:
        return FeatureStore(config=RepoConfig(**self._settings))

    def _materialize(self, day: date) -> None:
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            self._open().materialize(as_of(day) - timedelta(hours=1), as_of(day) + timedelta(hours=1))


def _killed(ours: _Ours, *, size: Size) -> tuple[Readings, float]:
    """What is met after kills and after the runs that follow them, and the seconds of those runs together."""
    rng, met = Random(5), Readings()
    ask = ours.asking()
    usual, together = _timed(ours, ours.world.write(1)), 0.0
    for number in range(2, size.num_kills + 2):
        day = ours.world.write(number)
        child = FORK.Process(target=ours.publish, args=(day,))
        child.start()
        time.sleep(rng.uniform(0, usual))
        os.kill(child.pid or 0, signal.SIGKILL)
        child.join()
        if not read_once(met, ask) <= {number - 1, number}:
            met.errors.append(f"after kill {number - 1} another day than those two is online")
        together += _timed(ours, day)
        if read_once(met, ask) != {number}:
            met.errors.append(f"the run after kill {number - 1} did not complete it")
    return met, together


def _timed(ours: _Ours, day: date) -> float:
    started = time.perf_counter()
    ours.publish(day)
    return time.perf_counter() - started


def _asking_http(port: int, users: Sequence[str]) -> Ask:
    client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60)
    body = {"feature_service": "user_profile", "entities": {"user_id": list(users)}}

    def ask() -> Days:
        answer = client.post("/get-online-features", json=body).raise_for_status().json()
        place = answer["metadata"]["feature_names"].index("num_interactions")
        return set(answer["results"][place]["values"])

    return ask


if __name__ == "__main__":
    main(parse_options(__doc__))
