"""A publish killed between any two of its steps: look-ups answer one day whole, and publishing again completes it."""

import os
import shutil
import signal
import sqlite3
from contextlib import closing
from datetime import timedelta
from importlib import import_module

import pytest

from feature_repo.generations import GenerationStore
from feature_repo.lookup import FeatureLookup
from feature_repo.publish import publish
from feature_repo.repository import open_store

from .conftest import FIRST

SECOND = FIRST + timedelta(days=1)
USERS = {"ann": "tea", "bob": "chess", "李雷": "摄影"}
LATER_USERS = {"ann": "running", "李雷": "茶", "new": "go"}

# Every step of a publish: module, class (or none), name. Each is a border before and one after.
STEPS = [
    *(("feature_repo.generations", "GenerationStore", name) for name in ("begin", "finish", "point_at", "unfinished", "superseded")),
    ("feature_repo.publish", None, "_remove"),
    ("feature_repo.publish", None, "forget"),
    ("feature_repo.repository", None, "write_reader_config"),
    ("feast", "FeatureStore", "apply"),
    ("feast", "FeatureStore", "write_to_online_store"),
    ("feast.infra.registry.registry", "Registry", "apply_materialization"),
    ("feature_repo.read_back", None, "read_back"),
    ("feature_repo.publish", None, "sync_tree"),
    ("shutil", None, "rmtree"),
]
SQLITE_STEPS = [("feature_repo.sqlite_online", "SqliteRows", name) for name in ("seal", "remove")]
REDIS_STEPS = [
    ("feast.infra.online_stores.redis", "RedisOnlineStore", "online_write_batch"),
    *(("feature_repo.redis_online", "RedisRows", name) for name in ("seal", "remove")),
]
DAYS_BEFORE = 3


class Borders:
    """Counts the borders of steps that a publish passes, and ends the process at the one wanted."""

    def __init__(self, fatal: int | None = None) -> None:
        self.passed: list[str] = []
        self._fatal = fatal

    def __call__(self, name: str) -> None:
        if len(self.passed) == self._fatal:
            os.kill(os.getpid(), signal.SIGKILL)
        self.passed.append(name)

    def watch(self, patch: pytest.MonkeyPatch, steps) -> None:
        """Put a border before and after every step."""
        for module, owner, name in steps:
            place = getattr(import_module(module), owner) if owner else import_module(module)
            patch.setattr(place, name, self._between(getattr(place, name), name))

    def _between(self, step, name):
        def bordered(*given, **settings):
            self(f"before {name}")
            found = step(*given, **settings)
            self(f"after {name}")
            return found

        return bordered


def steps_of(config):
    return STEPS + (SQLITE_STEPS if config.online_store == "sqlite" else REDIS_STEPS)


def client(config):
    import redis

    host, port = config.redis_connection.split(":")
    return redis.Redis(host=host, port=int(port))


def online(world, config):
    """Everything the online store holds of all generations."""
    if config.online_store == "redis":
        return {key: client(config).hgetall(key) for key in sorted(client(config).scan_iter())}
    return {path.parent.name: rows_of(path) for path in world.home.feature_store.glob("generations/*/online.db")}


def rows_of(path):
    with closing(sqlite3.connect(path)) as connection:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
        return {name: sorted(connection.execute(f'SELECT * FROM "{name}"').fetchall(), key=repr) for name in names}


def published(world, config):
    """All that a publish leaves: rows, generations, files, what the registry says of each view, what other readers are told."""
    generations = [(found.generation_id, found.num_rows, found.release_id) for found in GenerationStore(world.home).complete()]
    views = {view.name: (view.materialization_intervals, str(view.state)) for view in open_store(world.home, config).list_feature_views()}
    files = sorted(str(path.relative_to(world.home.feature_store)) for path in world.home.feature_store.rglob("*"))
    return online(world, config), generations, views, files, (world.home.feature_store / "feature_store.yaml").read_bytes()


def save(world, config, folder):
    """Keep the state of the online store, to start from it again."""
    shutil.copytree(world.home.feature_store, folder)
    return {key: client(config).dump(key) for key in client(config).scan_iter()} if config.online_store == "redis" else {}


def restore(world, config, folder, dumped) -> None:
    shutil.rmtree(world.home.feature_store)
    shutil.copytree(folder, world.home.feature_store)
    if config.online_store == "redis":
        client(config).flushall()
        for key, content in dumped.items():
            client(config).restore(key, 0, content)


def kill_at(world, config, fatal: int, steps=None) -> None:
    """Publish the second day in a forked process that ends at one border."""
    pid = os.fork()
    if pid == 0:
        try:
            with pytest.MonkeyPatch.context() as patch:
                Borders(fatal).watch(patch, steps or steps_of(config))
                publish(world.home, config=config, day=SECOND)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL, fatal


def answers(world, config, now):
    """Every service's answer to every id, as comparable values."""
    reader = FeatureLookup(world.home, config=config)
    asked = {
        "user_profile": sorted(USERS | LATER_USERS),
        "recommendations": sorted(USERS | LATER_USERS),
        "item_profile": ["i1", "i2", "i3"],
    }
    return {
        (service, found.entity_id): (found.as_of, repr(found.features))
        for service, ids in asked.items()
        for found in reader.get_many(service, ids, now=now)
    }


def test_a_kill_between_any_two_steps_never_happened_or_is_completed(world, config, now, tmp_path) -> None:
    """Four generations are there, so that the publish has one to remove too; one more was left unfinished by an earlier kill."""
    for number in range(DAYS_BEFORE):
        day = FIRST - timedelta(days=DAYS_BEFORE - number)
        world.write(day, users={"ann": "before"}, release=f"before{number}")
        publish(world.home, config=config, day=day)
    world.write(FIRST, users=USERS)
    publish(world.home, config=config, day=FIRST)
    world.write(SECOND, users=LATER_USERS, items=("i2", "i3"), release="r2")
    kill_at(world, config, fatal=9, steps=[("feast", "FeatureStore", "write_to_online_store")] * 2)
    dumped = save(world, config, tmp_path / "first day")
    old = answers(world, config, now)
    borders = Borders()
    with pytest.MonkeyPatch.context() as patch:
        borders.watch(patch, steps_of(config))
        publish(world.home, config=config, day=SECOND)
    new, expected = answers(world, config, now), published(world, config)
    assert {name.split()[1] for name in borders.passed} == {name for _, _, name in steps_of(config)}
    for fatal, border in enumerate(borders.passed):
        restore(world, config, tmp_path / "first day", dumped)
        kill_at(world, config, fatal)
        found = answers(world, config, now)
        assert found == (old if fatal < borders.passed.index("after point_at") else new), border
        assert publish(world.home, config=config, day=SECOND).published, border
        assert published(world, config) == expected, border
        assert answers(world, config, now) == new, border


def test_a_kill_in_the_very_first_publish_is_completed(world, config, now) -> None:
    world.write(SECOND, users=LATER_USERS, release="r2")
    borders = Borders()
    with pytest.MonkeyPatch.context() as patch:
        borders.watch(patch, steps_of(config))
        publish(world.home, config=config, day=SECOND)
    new, expected = answers(world, config, now), published(world, config)
    for fatal in range(0, len(borders.passed), 3):
        shutil.rmtree(world.home.feature_store)
        if config.online_store == "redis":
            client(config).flushall()
        kill_at(world, config, fatal)
        assert publish(world.home, config=config, day=SECOND).published, borders.passed[fatal]
        assert published(world, config) == expected, borders.passed[fatal]
        assert answers(world, config, now) == new, borders.passed[fatal]
