"""Small feature histories written by hand, and a real Redis where this machine has one."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from ml.config import DatasetHome
from ml.config.pipeline import FeatureStoreConfig
from ml.contracts import CONTRACTS
from ml.contracts.store import TableStore
from ml.days import as_of

FIRST = date(2026, 3, 1)
REPOSITORY = Path(__file__).resolve().parents[2]


def free_port() -> int:
    """A loopback port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class World:
    """A dataset's home whose feature tables the test writes day by day."""

    home: DatasetHome

    def write(self, day: date, *, users: dict[str, str], items: tuple[str, ...] = ("i1", "i2"), release: str = "r1") -> None:
        """Every user's one interest is the given word ("" for none); recommendations are the items."""
        stamps = {"event_timestamp": as_of(day), "created_timestamp": as_of(day) + timedelta(minutes=5), "release_id": release}
        profiles = [
            {
                "user_id": user,
                **stamps,
                "interest_names": [word] if word else [],
                "interest_weights": [1.0] if word else [],
                "recent_interest_names": [word] if word else [],
                "recent_interest_weights": [1.0] if word else [],
                "disliked_names": [],
                "num_interactions": day.day,
                "num_interactions_28d": 1,
                "num_sessions_28d": 1,
                "days_since_last_event": 0,
                "is_cold_start": not word,
                "embedding": [0.5, float(day.day)] if word else [],
            }
            for user, word in sorted(users.items())
        ]
        features = [
            {
                "item_id": item,
                **stamps,
                "title": f"标题 {item}",
                "category": "",
                "interest_names": ["摄影"],
                "interest_weights": [1.0],
                "num_users_28d": 1,
                "total_weight_28d": 0.1,
                "popularity_rank": rank,
                "embedding": [0.25],
                "similar_item_ids": [],
            }
            for rank, item in enumerate(items, 1)
        ]
        lists = [
            {
                "user_id": user,
                **stamps,
                "item_ids": list(items) if word else [],
                "titles": [f"标题 {item}" for item in items] if word else [],
                "scores": [1.0 / rank for rank in range(1, len(items) + 1)] if word else [],
                "reasons": [f"因为你喜欢 {word}" for _ in items] if word else [],
            }
            for user, word in sorted(users.items())
        ]
        for name, rows in (("user_profiles", profiles), ("item_features", features), ("recommendation_lists", lists)):
            contract = CONTRACTS[name]
            TableStore(self.home.tables).write(contract, pa.Table.from_pylist(rows, schema=contract.schema), day=day)


@pytest.fixture
def make_world(tmp_path: Path) -> Callable[[str], World]:
    """A world by dataset name; all of one test share a home root."""
    return lambda dataset: World(DatasetHome(tmp_path / "家 home", dataset))


@pytest.fixture
def world(make_world: Callable[[str], World]) -> World:
    """One dataset, its name with a hyphen as many are."""
    return make_world("my-shop")


@pytest.fixture(scope="session")
def redis_port() -> Iterator[int]:
    """A real redis-server of our own, without persistence."""
    binary = shutil.which("redis-server")
    if binary is None:
        pytest.skip("redis-server is not installed (Debian: apt-get install redis-server)")
    port = free_port()
    server = subprocess.Popen(
        [binary, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"], stdout=subprocess.DEVNULL
    )
    try:
        await_port(port, server)
        yield port
    finally:
        server.terminate()
        server.wait(timeout=10)


@pytest.fixture(params=["sqlite", pytest.param("redis", marks=pytest.mark.redis)])
def config(request: pytest.FixtureRequest) -> FeatureStoreConfig:
    """The feature store's settings, once per online store; Redis is emptied before each test."""
    if request.param == "sqlite":
        return FeatureStoreConfig(online_store="sqlite")
    import redis

    port = request.getfixturevalue("redis_port")
    redis.Redis(port=port).flushall()
    return FeatureStoreConfig(online_store="redis", redis_connection=f"127.0.0.1:{port}")


def await_port(port: int, process: subprocess.Popen[bytes], seconds: float = 300.0) -> None:
    """Wait until the process listens; fails with its exit code if it ended instead."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert process.poll() is None, f"server ended with {process.returncode}"
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError(f"nothing listens on {port} after {seconds} s")


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[Callable[[World, FeatureStoreConfig], int]]:
    """Start the feature server as a process of its own; gives its port."""
    started: list[subprocess.Popen[bytes]] = []

    def start(world: World, config: FeatureStoreConfig) -> int:
        port = free_port()
        code = (
            "import sys, uvicorn; from pathlib import Path\n"
            "from feature_repo.server import feature_app; from ml.config import DatasetHome\n"
            "from ml.config.pipeline import FeatureStoreConfig\n"
            "root, dataset, settings, port = sys.argv[1:]\n"
            "app = feature_app(DatasetHome(Path(root), dataset), config=FeatureStoreConfig.model_validate_json(settings))\n"
            "uvicorn.run(app, port=int(port))"
        )
        arguments = [str(world.home.root), world.home.dataset, config.model_dump_json(), str(port)]
        server = subprocess.Popen([sys.executable, "-c", code, *arguments], cwd=REPOSITORY, env=os.environ.copy())
        started.append(server)
        await_port(port, server)
        return port

    yield start
    for server in started:
        server.send_signal(signal.SIGTERM)
        server.wait(timeout=20)


@pytest.fixture
def now() -> datetime:
    """A moment one day after the end of the third day."""
    return datetime(2026, 3, 5, tzinfo=UTC)
