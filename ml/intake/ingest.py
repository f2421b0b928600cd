"""Landing files to raw tables, a Parquet file a day: the only writer of the raw layer.

The files are read once for all days asked for. Nothing is written before every
file has been read, so a torn file leaves no half-written day behind; a partition
whose rows are those it was made from is left as it is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import pyarrow as pa

from ml.config.pipeline import IntakeConfig
from ml.contracts.behaviour import RAW_EVENTS, RAW_TABLES
from ml.contracts.contract import DAY, INTEGER, STRING
from ml.contracts.manifest import Recipe
from ml.contracts.store import TableStore
from ml.errors import DatasetError, Finding
from ml.ids import UserIdBorder
from ml.intake.deliveries import EVENT_DAY, cross_border, deliver
from ml.intake.landing import land
from ml.intake.mapping import KINDS
from ml.intake.partitions import EMPTY_DIGEST, digests, order_events, partition
from ml.intake.schema import Dataset

__all__ = ["EMPTY_DIGEST", "EventDays", "IngestReport", "event_days", "ingest", "landed_days"]

# The name under which a raw partition's manifest holds the digest of its landed rows.
LANDING = "landing"
LANDED_DAYS = pa.schema([("day", DAY), ("num_events", INTEGER), ("num_superseded", INTEGER), ("digest", STRING)])


@dataclass(frozen=True)
class EventDays:
    """First and last UTC day with an event that keeps the contract."""

    first: date
    last: date


@dataclass(frozen=True)
class IngestReport:
    """What an ingestion found: rows by raw table over all its days, and how many rows of the files were kept out.

    `written` are the days of which a raw table was written, the others held these rows already. A file counts
    as parsed or reused once for every source that names it.
    """

    days: tuple[date, ...]
    written: tuple[date, ...]
    num_rows: dict[str, int]
    num_good: int
    num_quarantined: int
    num_files_parsed: int
    num_files_reused: int

    @property
    def quarantined_share(self) -> float:
        """Rows kept out among all rows of the landing files, in [0, 1]."""
        total = self.num_good + self.num_quarantined
        return self.num_quarantined / total if total else 0.0


def ingest(
    dataset: Dataset,
    *,
    days: Sequence[date],
    store: TableStore,
    border: UserIdBorder,
    config: IntakeConfig,
    now: datetime,
    landed: Path | None = None,
    code_version: str = "unversioned",
    recompute: bool = False,
) -> IngestReport:
    """Write those partitions of raw_events, raw_items, raw_users, raw_knowledge and quarantined_rows of `days` whose rows changed.

    An event belongs to its UTC day, or to the dataset's start if it is older. `landed` keeps the parsed files between
    ingestions; `recompute` writes every partition. Raises `DatasetError` with everything that is wrong with whole files
    before anything is written, `ValueError` for a day before the start.
    """
    early = [day for day in days if day < dataset.start]
    if early:
        raise ValueError(f"days before the dataset's start {dataset.start}: {', '.join(map(str, early))}")
    with land(dataset, config=config, now=now, landed=landed) as landing:
        landing.raise_for_findings()
        cross_border(landing, border)
        deliver(landing)
        found = {contract: digests(landing, contract, days) for contract in RAW_TABLES}
        changed = [
            (contract, day, recipe)
            for contract, of_days in found.items()
            for day, digest in of_days.items()
            if not store.is_made_from(contract.name, recipe := Recipe(code_version, {LANDING: digest.sha256}), day=day) or recompute
        ]
        order_events(landing, sorted(day for contract, day, _ in changed if contract is RAW_EVENTS))
        for contract, day, recipe in changed:
            store.write(contract, partition(landing, contract, day), day=day, recipe=recipe)
        return IngestReport(
            days=tuple(days),
            written=tuple(sorted({day for _, day, _ in changed})),
            num_rows={contract.name: sum(of_days[day].num_rows for day in days) for contract, of_days in found.items()},
            num_good=sum(landing.count(landing.good(table)) for table in KINDS),
            num_quarantined=sum(landing.num_rejected(table) for table in KINDS),
            num_files_parsed=landing.num_parsed,
            num_files_reused=landing.num_reused,
        )


def event_days(dataset: Dataset, *, config: IntakeConfig, now: datetime, landed: Path | None = None) -> EventDays:
    """First and last UTC day of the good events; reads no other table.

    Raises `DatasetError` where files cannot be read or no event keeps the contract.
    """
    with land(dataset, config=config, now=now, tables=("events",), landed=landed) as landing:
        landing.raise_for_findings()
        first, last = landing.connection.execute(f"SELECT min({EVENT_DAY}), max({EVENT_DAY}) FROM {landing.good('events')}").fetchall()[0]
        if first is None:
            what = f"no event keeps the contract; {landing.num_rejected('events')} row(s) were kept out"
            raise DatasetError(str(dataset.path), [Finding("tables.events", what, "run `interest-graph validate` to see why")])
        return EventDays(first, last)


def landed_days(
    dataset: Dataset, *, config: IntakeConfig, now: datetime, landed: Path | None, border: UserIdBorder | None = None
) -> pa.Table:
    """A row per partition day that has events in the landing files: `day`, `num_events`, `num_superseded`, `digest`, sorted by day.

    `num_events` counts all deliveries. `digest` is what `ingest` notes as `landing` in the day's raw_events; a day that
    is not there has `EMPTY_DIGEST`. `border` is that of the ingestion; None: the dataset's own. Raises as `event_days`
    does for files that cannot be read.
    """
    with land(dataset, config=config, now=now, tables=("events",), landed=landed) as landing:
        landing.raise_for_findings()
        cross_border(landing, border or UserIdBorder(dataset.name))
        deliver(landing)
        counts = landing.connection.execute(
            "SELECT partition_day, count(*), count(*) FILTER (is_superseded) FROM delivered_events"
            " GROUP BY partition_day ORDER BY partition_day"
        ).fetchall()
        found = digests(landing, RAW_EVENTS, [day for day, *_ in counts])
        rows = [
            {"day": day, "num_events": total, "num_superseded": superseded, "digest": found[day].sha256}
            for day, total, superseded in counts
        ]
        return pa.Table.from_pylist(rows, schema=LANDED_DAYS)
