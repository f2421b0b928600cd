"""What users said since the release in force, pushed to other services through Feast's push source.

A project of its own, beside the published generations: a publish never touches it, and a push never
changes what was published. Values are what the feedback log says; only the newest push of a user is held.
Feast's SQLite store lets an older push overwrite a newer one; a trigger keeps it from that, as Redis does by itself.
"""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pandas as pd
import yaml
from feast import Entity, FeatureService, FeatureStore, FeatureView, Field, FileSource, PushSource, ValueType
from feast.infra.online_stores.helpers import compute_table_id
from feast.repo_config import RegistryConfig, RepoConfig
from feast.types import Array, String, UnixTimestamp

from feature_repo.repository import project_name
from ml.config import DatasetHome
from ml.config.pipeline import FeatureStoreConfig
from ml.contracts.files import write_text

VIEW = SERVICE = "recent_feedback"
SOURCE = "recent_feedback_push"
EVENT_TIMESTAMP = "event_timestamp"
# A row is read as a whole at every look-up: what a user last spoken of says most.
MAX_ITEMS = 100
BUSY_SECONDS = 30.0


@dataclass(frozen=True)
class RecentRow:
    """One user (inside id): items liked and disliked lately, the newest first, and when they last said anything; None: nothing now."""

    user_id: str
    liked_item_ids: Sequence[str]
    disliked_item_ids: Sequence[str]
    last_event_at: datetime | None


class RecentFeedbackStore:
    """One dataset's recent feedback online, open for pushing and reading."""

    def __init__(self, home: DatasetHome, *, config: FeatureStoreConfig) -> None:
        """Open it; what is not there yet is made. One process pushes: the one that holds the feedback log."""
        folder = push_folder(home)
        folder.mkdir(parents=True, exist_ok=True)
        self._store = FeatureStore(config=_repo_config(home, config))
        view = _apply(self._store, folder=folder)
        if config.online_store == "sqlite":
            _guard(sqlite_path(home), table=compute_table_id(self._store.project, view))
        _write_reader_config(home, config)

    def push(self, rows: Sequence[RecentRow], *, now: datetime) -> None:
        """Make these users' rows what is online, as of `now`; a row of a later `now` that is there stays."""
        if not rows:
            return
        columns = {
            "user_id": [row.user_id for row in rows],
            "liked_item_ids": [list(row.liked_item_ids)[:MAX_ITEMS] for row in rows],
            "disliked_item_ids": [list(row.disliked_item_ids)[:MAX_ITEMS] for row in rows],
            "last_event_at": pd.to_datetime(pd.Series([row.last_event_at for row in rows]), utc=True),
            EVENT_TIMESTAMP: pd.to_datetime(pd.Series([now] * len(rows)), utc=True),
        }
        self._store.push(SOURCE, pd.DataFrame(columns))

    def get(self, user_id: str) -> RecentRow:
        """What is online of a user; nothing for one who said nothing."""
        service = self._store.get_feature_service(SERVICE, allow_cache=True)
        found = self._store.get_online_features(features=service, entity_rows=[{"user_id": user_id}]).to_dict()
        liked, disliked, last = (found[name][0] for name in ("liked_item_ids", "disliked_item_ids", "last_event_at"))
        return RecentRow(user_id, tuple(liked or ()), tuple(disliked or ()), last)


def push_folder(home: DatasetHome) -> Path:
    """The folder of the project, with the `feature_store.yaml` that readers open."""
    return (home.feature_store / "recent_feedback").resolve()


def sqlite_path(home: DatasetHome) -> Path:
    """The embedded online store of pushed rows."""
    return push_folder(home) / "online.db"


def _view(user: Entity, *, folder: Path) -> FeatureView:
    # Feast 0.67 refuses a push source without a batch source; nothing lies there, for the log is the history.
    history = FileSource(name=f"{VIEW}_history", path=str(folder / "none.parquet"), timestamp_field=EVENT_TIMESTAMP)
    return FeatureView(
        name=VIEW,
        entities=[user],
        ttl=None,
        schema=[
            Field(name="user_id", dtype=String),
            Field(name="liked_item_ids", dtype=Array(String), description="items liked since the release in force, newest first"),
            Field(name="disliked_item_ids", dtype=Array(String), description="items disliked or hidden since, newest first"),
            Field(name="last_event_at", dtype=UnixTimestamp, description="when the user last said anything, UTC"),
        ],
        source=PushSource(name=SOURCE, batch_source=history),
        online=True,
        description="one row per user who said anything since the release in force",
    )


def _apply(store: FeatureStore, *, folder: Path) -> FeatureView:
    user = Entity(name="user", join_keys=["user_id"], value_type=ValueType.STRING)
    view = _view(user, folder=folder)
    known = [each for each in store.list_feature_views() if each.name == VIEW and each.schema == view.schema]
    # Applying rewrites the registry in place, and a reader could see it empty: only where it says something new.
    if not known:
        store.apply([user, view, FeatureService(name=SERVICE, features=[view])])
    return store.get_feature_view(VIEW)


def _guard(path: Path, *, table: str) -> None:
    with closing(sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(
            f'CREATE TRIGGER IF NOT EXISTS "{table}_never_back" BEFORE UPDATE ON "{table}" '
            "WHEN NEW.event_ts < OLD.event_ts BEGIN SELECT RAISE(IGNORE); END"
        )


def _project(home: DatasetHome) -> str:
    return f"{project_name(home.dataset)}__recent_feedback"


def _repo_config(home: DatasetHome, config: FeatureStoreConfig) -> RepoConfig:
    said = _said(home, config)
    registry = RegistryConfig(path=said["registry"], cache_ttl_seconds=0)
    return RepoConfig(**{**said, "registry": registry})


def _write_reader_config(home: DatasetHome, config: FeatureStoreConfig) -> None:
    write_text(yaml.safe_dump(_said(home, config), sort_keys=False), push_folder(home) / "feature_store.yaml")


def _said(home: DatasetHome, config: FeatureStoreConfig) -> dict[str, object]:
    """Feast's configuration, as `feature_store.yaml` says it."""
    redis = {"type": "redis", "connection_string": config.redis_connection}
    return {
        "project": _project(home),
        "provider": "local",
        "registry": str(push_folder(home) / "registry.db"),
        "online_store": redis if config.online_store == "redis" else {"type": "sqlite", "path": str(sqlite_path(home))},
        "offline_store": {"type": "file"},
        "entity_key_serialization_version": 3,
    }
