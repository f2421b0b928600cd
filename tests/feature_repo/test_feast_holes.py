"""Where Feast leaves a hole that a publish closes: the hole on plain Feast, and that ours has not got it.

When the first of a pair fails, Feast has closed it, and what closes it here can go.
"""

import json
import os
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from feast import FeatureStore
from feast.feature_view import FeatureViewState
from feast.infra.registry.file import FileRegistryStore
from feast.protos.feast.serving.ServingService_pb2 import FieldStatus
from feast.repo_config import RepoConfig

from feature_repo.definitions import definitions
from feature_repo.generations import GenerationStore
from feature_repo.lookup import FeatureLookup
from feature_repo.publish import publish
from feature_repo.repository import open_store
from ml.config.pipeline import FeatureStoreConfig
from ml.days import as_of
from ml.errors import PublishError

from .conftest import FIRST, REPOSITORY

SECOND = FIRST + timedelta(days=1)
VIEW = "user_profiles"


@dataclass
class PlainFeast:
    """Feast as its documentation sets it up: one project, `materialize`, no code of ours but the definitions."""

    settings: dict
    tables: Path

    def open(self) -> FeatureStore:
        return FeatureStore(config=RepoConfig(**self.settings))

    def start(self) -> FeatureStore:
        store = self.open()
        store.apply(definitions(self.tables, ttl=timedelta(days=7)).all())
        return store

    def materialize(self, day) -> None:
        self.open().materialize(as_of(day) - timedelta(hours=1), as_of(day) + timedelta(hours=1), feature_views=[VIEW])

    def interests(self, *users):
        found = self.open().get_online_features([f"{VIEW}:interest_names"], [{"user_id": user} for user in users]).to_dict()
        return found["interest_names"]


@pytest.fixture
def plain(world, config, tmp_path):
    online = {"type": "sqlite", "path": str(tmp_path / "plain" / "online.db")}
    if config.online_store == "redis":
        online = {"type": "redis", "connection_string": config.redis_connection}
    settings = {
        "project": "plain",
        "provider": "local",
        "registry": {"path": str(tmp_path / "plain" / "registry.db")},
        "online_store": online,
        "offline_store": {"type": "file"},
        "entity_key_serialization_version": 3,
        "materialization": {"online_write_batch_size": 50},
    }
    return PlainFeast(settings, world.home.tables)


def interests(world, config, *users, now):
    found = FeatureLookup(world.home, config=config).get_many("user_profile", list(users), now=now)
    return [answer.features["interest_names"] for answer in found]


def two_days(world):
    world.write(FIRST, users={"ann": "old", "bob": "chess"})
    world.write(SECOND, users={"ann": "new"}, release="r2")


def test_feast_lets_an_older_window_overwrite_newer_values_on_sqlite(world, plain, config):
    """TRAPS R1. Redis compares times itself."""
    two_days(world)
    plain.start()
    plain.materialize(SECOND)
    plain.materialize(FIRST)
    assert plain.interests("ann") == [["old"] if config.online_store == "sqlite" else ["new"]]


def test_ours_never_goes_back(world, config, now):
    two_days(world)
    publish(world.home, config=config, day=SECOND)
    # A backfill of an old day asks.
    report = publish(world.home, config=config, day=FIRST)
    assert report.reason == "refused: 2026-03-02 is online and is newer than 2026-03-01; publish the newest day"
    # Somebody materializes an old window with the file that a publish leaves for readers.
    FeatureStore(repo_path=str(world.home.feature_store)).materialize(as_of(FIRST) - timedelta(hours=1), as_of(FIRST) + timedelta(hours=1))
    assert interests(world, config, "ann", now=now) == [["new"]]


def test_feast_keeps_rows_of_entities_that_vanished(world, plain):
    two_days(world)
    plain.start()
    plain.materialize(FIRST)
    plain.materialize(SECOND)
    assert plain.interests("ann", "bob") == [["new"], ["chess"]]


def test_ours_does_not_serve_who_vanished(world, config, now):
    two_days(world)
    publish(world.home, config=config, day=FIRST)
    publish(world.home, config=config, day=SECOND)
    assert interests(world, config, "ann", "bob", now=now) == [["new"], None]


def test_feast_serves_rows_older_than_their_ttl(world, plain):
    """The ttl is 7 days, the row a year old."""
    long_ago = FIRST - timedelta(days=365)
    world.write(long_ago, users={"ann": "old"})
    plain.start()
    plain.materialize(long_ago)
    response = plain.open().get_online_features([f"{VIEW}:interest_names"], [{"user_id": "ann"}])
    assert response.to_dict()["interest_names"] == [["old"]]
    assert [set(feature.statuses) for feature in response.proto.results] == [{FieldStatus.PRESENT}] * 2


def test_ours_says_so_or_holds_them_back(world, config, now):
    long_ago = FIRST - timedelta(days=365)
    world.write(long_ago, users={"ann": "old"})
    publish(world.home, config=config, day=long_ago)
    said = FeatureLookup(world.home, config=config).get("user_profile", "ann", now=now)
    assert (said.is_found, said.is_stale, said.features["interest_names"]) == (True, True, ["old"])
    strict = config.model_copy(update={"refuse_stale": True})
    held = FeatureLookup(world.home, config=strict).get("user_profile", "ann", now=now)
    assert (held.is_found, held.is_stale, held.as_of) == (False, True, as_of(long_ago))
    assert set(held.features.values()) == {None}


def killed_after_some_rows(code, *arguments):
    """Run code in which the third write of a batch ends the process."""
    killer = (
        "import os, signal, sys\n"
        "from feast.infra.online_stores.sqlite import SqliteOnlineStore\n"
        "from feast.infra.online_stores.redis import RedisOnlineStore\n"
        "written = []\n"
        "def limited(write):\n"
        "    def run(*given, **settings):\n"
        "        written.append(1)\n"
        "        if len(written) == 3: os.kill(os.getpid(), signal.SIGKILL)\n"
        "        return write(*given, **settings)\n"
        "    return run\n"
        "for kind in (SqliteOnlineStore, RedisOnlineStore):\n"
        "    kind.online_write_batch = limited(kind.online_write_batch)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", killer + code, *arguments], cwd=REPOSITORY, env=os.environ.copy(), check=False, capture_output=True
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()


MATERIALIZE = """
import json
from datetime import datetime
from feast import FeatureStore
from feast.repo_config import RepoConfig
settings, start, end = sys.argv[1:]
FeatureStore(config=RepoConfig(**json.loads(settings))).materialize(
    datetime.fromisoformat(start), datetime.fromisoformat(end), feature_views=["user_profiles"])
"""
PUBLISH = """
from datetime import date
from pathlib import Path
import feature_repo.online
from feature_repo.publish import publish
from ml.config import DatasetHome
from ml.config.pipeline import FeatureStoreConfig
feature_repo.online.BATCH_ROWS = 50
root, dataset, settings, day = sys.argv[1:]
publish(DatasetHome(Path(root), dataset), config=FeatureStoreConfig.model_validate_json(settings), day=date.fromisoformat(day))
"""
MANY = [f"user-{number:03d}" for number in range(300)]


def write_many(world):
    world.write(FIRST, users=dict.fromkeys(MANY, "one"))
    world.write(SECOND, users=dict.fromkeys(MANY, "two"), release="r2")


def test_a_killed_materialize_leaves_mixed_rows_and_a_view_that_is_not_served(world, plain):
    """TRAPS R4."""
    write_many(world)
    plain.start()
    plain.materialize(FIRST)
    window = (as_of(SECOND) - timedelta(hours=1)).isoformat(), (as_of(SECOND) + timedelta(hours=1)).isoformat()
    killed_after_some_rows(MATERIALIZE, json.dumps(plain.settings), *window)
    store = plain.open()
    stuck = store.get_feature_view(VIEW)
    assert stuck.state == FeatureViewState.MATERIALIZING
    with pytest.raises(ValueError, match="MATERIALIZING"):
        plain.interests(*MANY)
    stuck.state = FeatureViewState.AVAILABLE_ONLINE
    store.registry.apply_feature_view(stuck, store.project)
    assert {tuple(words) for words in plain.interests(*MANY)} == {("one",), ("two",)}


def test_a_killed_publish_leaves_the_day_before_whole_and_served(world, config, now):
    write_many(world)
    publish(world.home, config=config, day=FIRST)
    killed_after_some_rows(PUBLISH, str(world.home.root), world.home.dataset, config.model_dump_json(), SECOND.isoformat())
    assert len(GenerationStore(world.home).unfinished()) == 1
    assert {tuple(words) for words in interests(world, config, *MANY, now=now)} == {("one",)}
    assert publish(world.home, config=config, day=SECOND).published
    assert {tuple(words) for words in interests(world, config, *MANY, now=now)} == {("two",)}
    assert GenerationStore(world.home).unfinished() == []


def test_a_view_that_somebody_else_left_materializing_is_published_anew(world, config, now):
    write_many(world)
    first = publish(world.home, config=config, day=FIRST)
    store = open_store(world.home, config)
    stuck = store.get_feature_view(VIEW)
    stuck.state = FeatureViewState.MATERIALIZING
    store.registry.apply_feature_view(stuck, store.project)
    with pytest.raises(ValueError, match="MATERIALIZING"):
        interests(world, config, "user-001", now=now)
    assert publish(world.home, config=config, day=FIRST).generation_id != first.generation_id
    assert interests(world, config, "user-001", now=now) == [["one"]]


def test_feast_rewrites_its_registry_in_place(world, plain, monkeypatch):
    """TRAPS R9: who reads between `open` and `write` meets an empty file, which is a registry without features."""
    store = plain.start()
    path = Path(plain.settings["registry"]["path"])
    seen = []
    opened = open

    def watched(file, *given, **settings):
        handle = opened(file, *given, **settings)
        if Path(file) == path:
            seen.append(path.read_bytes())
        return handle

    monkeypatch.setattr("builtins.open", watched)
    FileRegistryStore(RepoConfig(**plain.settings).registry, path.parent).update_registry_proto(store.registry.proto())
    assert seen == [b""]


def test_no_reader_of_ours_meets_half_a_registry(world, config, now):
    """New readers, as a process makes them, while generations are published one after another."""
    world.write(FIRST, users={"ann": "word"})
    publish(world.home, config=config, day=FIRST)
    wrong, asked, stop = [], [], threading.Event()

    def start_readers():
        while not stop.is_set():
            try:
                asked.append(interests(world, config, "ann", now=now))
                FeatureStore(repo_path=str(world.home.feature_store)).get_feature_service("user_profile")
            except Exception as error:  # noqa: BLE001  any failure of a reader is the finding
                wrong.append(error)

    reader = threading.Thread(target=start_readers)
    reader.start()
    try:
        for number in range(6):
            world.write(FIRST, users={"ann": "word", f"user{number}": "tea"})
            publish(world.home, config=config, day=FIRST)
    finally:
        stop.set()
        reader.join()
    assert wrong == []
    assert len(asked) > 6
    assert asked == [[["word"]]] * len(asked)


def test_an_unwritten_registry_is_never_pointed_at(world):
    with pytest.raises(PublishError, match="nothing of dataset my-shop is online"):
        open_store(world.home, FeatureStoreConfig())
    assert not world.home.feature_store.exists()
