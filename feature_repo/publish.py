"""Putting a day's feature tables online: who may write, what is checked, what is reported.

A publish writes a generation beside the live one, reads it back, and flips one pointer.
Killed at any moment it never happened; running it again completes it. An older day than
the one online is refused, whatever asks for it (a backfill, a mistyped date); only a
rollback goes back. What a generation is: `feature_repo.generations`.
"""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from feature_repo.generations import Generation, GenerationStore, forget
from ml.config import DatasetHome
from ml.config.pipeline import FeatureStoreConfig
from ml.contracts.contract import TableContract
from ml.contracts.files import sha256_of, sync_tree
from ml.contracts.manifest import combined
from ml.contracts.outputs import FEATURE_TABLES
from ml.contracts.store import TableStore
from ml.days import as_of
from ml.errors import ContractError, PublishError, ReleaseError

if TYPE_CHECKING:
    from feast import FeatureStore

    from feature_repo.definitions import Definitions
    from feature_repo.online import Progress


@dataclass(frozen=True)
class PublishReport:
    """What a publish did; `published` is False where it was refused, with the reason either way."""

    day: date
    published: bool
    reason: str
    release_id: str
    generation_id: str | None
    num_rows: Mapping[str, int]
    num_checked: int


@dataclass(frozen=True)
class _Day:
    """What is to be online: the tables of one day and one release, and what stands for all that decides their rows."""

    day: date
    tables: Mapping[str, pa.Table]
    release_id: str
    fingerprint: str


def publish(home: DatasetHome, *, config: FeatureStoreConfig, day: date, progress: "Progress | None" = None) -> PublishReport:
    """Make a generation of exactly the rows of partition `day` live, read back and compared.

    A kept generation of the same rows and settings is made live as it is, if it still reads
    back. `progress` gets (rows written, rows in all). Raises `MissingTableError` if a feature
    table lacks the partition, `ContractError` or `ReleaseError` if the tables are not of one
    day and release, `PublishError` if another publish or rollback is running, the store does
    not answer, or it reads back something else.
    """
    wanted = _read(home, config=config, day=day)
    generations = GenerationStore(home)
    with generations.alone():
        live_id, live_day = generations.live_id(), generations.live_day()
        if live_day is not None and live_day > day:
            reason = f"refused: {live_day.isoformat()} is online and is newer than {day.isoformat()}; publish the newest day"
            return PublishReport(day, False, reason, wanted.release_id, live_id, {}, 0)
        left = _remove(generations.unfinished())
        generation, num_checked = _kept(generations, wanted, home=home, config=config) or _write(
            generations, wanted, home=home, config=config, progress=progress
        )
        if generation.generation_id != live_id:
            generations.point_at(generation)
        left += _remove([superseded.directory for superseded in generations.superseded()])
    reason = _reason(generation, live_id=live_id, live_day=live_day, left=left)
    return PublishReport(day, True, reason, wanted.release_id, generation.generation_id, generation.num_rows, num_checked)


def _read(home: DatasetHome, *, config: FeatureStoreConfig, day: date) -> _Day:
    store = TableStore(home.tables)
    tables = {contract.name: store.read(contract, day=day) for contract in FEATURE_TABLES}
    for name, table in tables.items():
        found = pc.unique(table.column("event_timestamp")).to_pylist()
        if set(found) - {as_of(day)}:
            raise ContractError(name, [f"partition {day.isoformat()} holds rows as of {', '.join(map(str, sorted(found)))}"])
    address = config.redis_connection if config.online_store == "redis" else ""
    parts = {f"rows of {contract.name}": sha256_of(store.path(contract.name, day)) for contract in FEATURE_TABLES}
    parts |= {f"columns of {contract.name}": _columns(contract) for contract in FEATURE_TABLES}
    fingerprint = combined(parts | {"store": f"{config.online_store} {address}", "ttl_days": str(config.ttl_days)})
    return _Day(day, tables, _only_release(tables), fingerprint)


def _columns(contract: TableContract) -> str:
    return str([(column.name, str(column.dtype), column.description) for column in contract.columns])


def _only_release(tables: Mapping[str, pa.Table]) -> str:
    releases = {release for table in tables.values() for release in pc.unique(table.column("release_id")).to_pylist()}
    if len(releases) > 1:
        raise ReleaseError(f"feature tables of several releases: {', '.join(sorted(releases))}; materialize them again together")
    return str(next(iter(releases), ""))


def _kept(generations: GenerationStore, wanted: _Day, *, home: DatasetHome, config: FeatureStoreConfig) -> tuple[Generation, int] | None:
    """The newest complete generation of the same rows and settings and the rows compared; None where none reads back."""
    from feast import FeatureStore  # noqa: PLC0415  (Feast imports slowly)

    from feature_repo.repository import dataset_definitions, reading_config  # noqa: PLC0415

    same = [found for found in generations.complete() if found.fingerprint == wanted.fingerprint]
    if not same:
        return None
    try:
        store = FeatureStore(config=reading_config(home, config, same[-1]))
        return same[-1], _checked(store, wanted, definitions=dataset_definitions(home, config))
    except PublishError:
        # Its rows are not what they were (a Redis that lost them, somebody's write): it is written anew.
        return None


def _write(
    generations: GenerationStore, wanted: _Day, *, home: DatasetHome, config: FeatureStoreConfig, progress: "Progress | None"
) -> tuple[Generation, int]:
    """Write a generation beside the live one and read it back; returns it and the rows compared."""
    from feast import FeatureStore  # noqa: PLC0415  (Feast imports slowly)

    from feature_repo.online import Done, online_rows, write_rows  # noqa: PLC0415
    from feature_repo.repository import dataset_definitions, generation_config, write_reader_config  # noqa: PLC0415

    definitions = dataset_definitions(home, config)
    num_rows = {name: table.num_rows for name, table in wanted.tables.items()}
    done = Done(sum(num_rows.values()), progress)
    directory = generations.begin(day=wanted.day, fingerprint=wanted.fingerprint)
    write_reader_config(home, config, directory)
    store = FeatureStore(config=generation_config(home, config, directory))
    rows = online_rows(store.config)
    rows.check()
    store.apply(definitions.all())
    for view in definitions.views:
        write_rows(store, wanted.tables[view.name], view=view, done=done)
    rows.seal(definitions.views)
    _record(store, definitions, day=wanted.day)
    num_checked = _checked(store, wanted, definitions=definitions)
    sync_tree(directory)
    generation = generations.finish(
        directory,
        day=wanted.day,
        release_id=wanted.release_id,
        online_store=config.online_store,
        num_rows=num_rows,
        fingerprint=wanted.fingerprint,
    )
    return generation, num_checked


def _checked(store: "FeatureStore", wanted: _Day, *, definitions: "Definitions") -> int:
    from feature_repo.online import online_rows  # noqa: PLC0415  (Feast imports slowly)
    from feature_repo.read_back import read_back  # noqa: PLC0415

    rows = online_rows(store.config)
    rows.check()
    return read_back(store, wanted.tables, rows=rows, views=definitions.views)


def _record(store: "FeatureStore", definitions: "Definitions", *, day: date) -> None:
    """Tell Feast's registry which interval each view holds, for whoever reads it there."""
    for view in definitions.views:
        store.registry.apply_materialization(view, store.project, as_of(day - timedelta(days=1)), as_of(day))


def _remove(directories: list[Path]) -> list[str]:
    """Remove generations, their rows first; returns what could not be removed and why, to be tried again by the next publish."""
    from feature_repo.online import online_rows  # noqa: PLC0415  (Feast imports slowly)
    from feature_repo.repository import written_config  # noqa: PLC0415

    left = []
    for directory in directories:
        forget(directory)
        written = written_config(directory)
        try:
            if written is not None:
                online_rows(written).remove()
        except PublishError as error:
            left.append(f"{directory.name} is not removed yet: {error}")
            continue
        shutil.rmtree(directory)
    return left


def _reason(generation: Generation, *, live_id: str | None, live_day: date | None, left: list[str]) -> str:
    if generation.generation_id == live_id:
        said = f"{generation.day.isoformat()} is online already, with these rows"
    else:
        before = f", before {live_day.isoformat()}" if live_day else ""
        said = f"{generation.online_store} holds {generation.day.isoformat()}{before}"
    return "; ".join([said, *left])
