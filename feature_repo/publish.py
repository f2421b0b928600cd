"""Putting a day's feature tables online: who may write, what is checked, what is reported.

A publish is idempotent and may be killed at any moment; running it again completes
it. An older day than the one online is refused, whatever asks for it (a backfill,
a mistyped date): the online store never moves back. How rows are replaced is
`feature_repo.sqlite_online` and `feature_repo.redis_online`.
"""

import fcntl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from feature_repo.publication import Publication
from ml.config import DatasetHome
from ml.config.pipeline import FeatureStoreConfig
from ml.contracts.outputs import FEATURE_TABLES
from ml.contracts.store import TableStore
from ml.days import as_of
from ml.errors import ContractError, PublishError, ReleaseError

if TYPE_CHECKING:
    from feast import FeatureStore, FeatureView

    from feature_repo.online import OnlineStore, Progress

NUM_CHECKED = 200


@dataclass(frozen=True)
class PublishReport:
    """What a publish did; `published` is False where it was refused, with the reason either way."""

    day: date
    published: bool
    reason: str
    release_id: str
    num_rows: dict[str, int]
    num_removed: dict[str, int]
    num_checked: int


def publish(home: DatasetHome, *, config: FeatureStoreConfig, day: date, progress: "Progress | None" = None) -> PublishReport:
    """Apply the definitions and make the online store hold exactly the rows of partition `day`, read back and compared.

    `progress` gets (rows written, rows in all). Raises `MissingTableError` if a
    feature table lacks the partition, `ContractError` or `ReleaseError` if the
    tables are not of one day and release, `PublishError` if another publish is
    running, the store does not answer, or it reads back something else.
    """
    tables = _read(home, day)
    release_id = _only_release(tables)
    publication = Publication(day, release_id, {name: table.num_rows for name, table in tables.items()}, "publishing")
    with _alone(home):
        from feature_repo.repository import dataset_definitions, open_store, write_reader_config  # noqa: PLC0415  (Feast imports slowly)

        store = open_store(home, config)
        online = _online_store(home, config=config, store=store)
        before = online.publication()
        if before is not None and before.day > day:
            return _refused(publication, before)
        wanted = dataset_definitions(home, config)
        store.apply(wanted.all())
        removed = _replace(online, tables, views=wanted.views, publication=publication, progress=progress)
        num_checked = _read_back(store, tables, online=online, views=wanted.views)
        _record(store, views=wanted.views, day=day)
        write_reader_config(home, config)
    reason = f"{config.online_store} holds {day.isoformat()}" + (f", before {before.day.isoformat()}" if before else "")
    return PublishReport(day, True, reason, release_id, publication.num_rows, removed, num_checked)


def _read(home: DatasetHome, day: date) -> dict[str, pa.Table]:
    tables = {contract.name: TableStore(home.tables).read(contract, day=day) for contract in FEATURE_TABLES}
    for name, table in tables.items():
        found = pc.unique(table.column("event_timestamp")).to_pylist()
        if set(found) - {as_of(day)}:
            raise ContractError(name, [f"partition {day.isoformat()} holds rows as of {', '.join(map(str, sorted(found)))}"])
    return tables


def _only_release(tables: Mapping[str, pa.Table]) -> str:
    releases = {release for table in tables.values() for release in pc.unique(table.column("release_id")).to_pylist()}
    if len(releases) > 1:
        raise ReleaseError(f"feature tables of several releases: {', '.join(sorted(releases))}; materialize them again together")
    return str(next(iter(releases), ""))


@contextmanager
def _alone(home: DatasetHome) -> Iterator[None]:
    """Hold the dataset's publish lock; the system frees it when the process ends, however it ends."""
    home.feature_store.mkdir(parents=True, exist_ok=True)
    with (home.feature_store / "publish.lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise PublishError(f"another publish of {home.dataset} is running; let it end, then publish again") from error
        yield


def _online_store(home: DatasetHome, *, config: FeatureStoreConfig, store: "FeatureStore") -> "OnlineStore":
    if config.online_store == "redis":
        from feature_repo.redis_online import RedisOnline  # noqa: PLC0415  (Feast imports slowly)

        return RedisOnline(store.config)
    from feature_repo.repository import sqlite_path  # noqa: PLC0415  (Feast imports slowly)
    from feature_repo.sqlite_online import SqliteOnline  # noqa: PLC0415  (Feast imports slowly)

    return SqliteOnline(sqlite_path(home), project=store.project)


def _refused(publication: Publication, before: Publication) -> PublishReport:
    state = "is online" if before.state == "published" else "was begun and not finished"
    reason = f"refused: {before.day.isoformat()} {state} and is newer than {publication.day.isoformat()}; publish the newest day"
    return PublishReport(publication.day, False, reason, publication.release_id, {}, {}, 0)


def _replace(
    online: "OnlineStore",
    tables: Mapping[str, pa.Table],
    *,
    views: "tuple[FeatureView, ...]",
    publication: Publication,
    progress: "Progress | None",
) -> dict[str, int]:
    from feature_repo.online import Done  # noqa: PLC0415  (Feast imports slowly)

    done = Done(sum(publication.num_rows.values()), progress)
    return online.replace(tables, views=views, publication=publication, done=done)


def _read_back(store: "FeatureStore", tables: Mapping[str, pa.Table], *, online: "OnlineStore", views: "tuple[FeatureView, ...]") -> int:
    """Compare counts, and a spread sample of rows value by value, through Feast's reader; returns the rows compared."""
    num_checked = 0
    for view in views:
        table = tables[view.name]
        if online.num_rows(view) != table.num_rows:
            raise PublishError(f"{view.name}: {online.num_rows(view)} entities online, {table.num_rows} published; publish again")
        spread = np.linspace(0, table.num_rows - 1, min(table.num_rows, NUM_CHECKED)).astype(np.int64)
        _compare(store, table.take(pa.array(spread)), view=view)
        num_checked += len(spread)
    return num_checked


def _compare(store: "FeatureStore", sample: pa.Table, *, view: "FeatureView") -> None:
    if sample.num_rows == 0:
        return
    (join_key,) = view.join_keys
    features = [feature.name for feature in view.features]
    entities = [{join_key: identifier} for identifier in sample.column(join_key).to_pylist()]
    found = store.get_online_features([f"{view.name}:{feature}" for feature in features], entities).to_dict()
    wrong = [feature for feature in features if found[feature] != sample.column(feature).to_pylist()]
    if wrong:
        raise PublishError(f"{view.name}: {', '.join(wrong)} read back differently from what was published; publish again")


def _record(store: "FeatureStore", *, views: "tuple[FeatureView, ...]", day: date) -> None:
    """Tell Feast's registry which interval each view holds now, once however often it is published."""
    interval = as_of(day - timedelta(days=1)), as_of(day)
    # Feast reloads the registry on every read and forgets what is not committed: read everything first.
    missing = [view for view in views if interval not in store.get_feature_view(view.name).materialization_intervals]
    for view in missing:
        store.registry.apply_materialization(view, store.project, *interval, commit=False)
    store.registry.commit()
