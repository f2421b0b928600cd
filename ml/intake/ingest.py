"""Landing files to raw tables, a Parquet file a day: the only writer of the raw layer.

The files are read once for all days asked for. Nothing is written before every
file has been read, so a torn file leaves no half-written day behind.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from ml.config.pipeline import IntakeConfig
from ml.contracts.behaviour import RAW_TABLES
from ml.contracts.store import TableStore
from ml.errors import DatasetError, Finding
from ml.ids import UserIdBorder
from ml.intake.deliveries import EVENT_DAY, cross_border, deliver
from ml.intake.landing import Landing, land
from ml.intake.partitions import order_events, partition
from ml.intake.schema import Dataset


@dataclass(frozen=True)
class EventDays:
    """First and last UTC day with an event that keeps the contract."""

    first: date
    last: date


@dataclass(frozen=True)
class IngestReport:
    """What an ingestion wrote: rows by raw table over all its days, and how many rows of the files were kept out."""

    days: tuple[date, ...]
    num_rows: dict[str, int]
    num_good: int
    num_quarantined: int

    @property
    def quarantined_share(self) -> float:
        """Rows kept out among all rows of the landing files, in [0, 1]."""
        total = self.num_good + self.num_quarantined
        return self.num_quarantined / total if total else 0.0


def ingest(
    dataset: Dataset, *, days: Sequence[date], store: TableStore, border: UserIdBorder, config: IntakeConfig, now: datetime
) -> IngestReport:
    """Write raw_events, raw_items, raw_users, raw_knowledge and quarantined_rows for each of `days`.

    An event belongs to its UTC day, or to the dataset's start if it is older. Raises `DatasetError`
    with everything that is wrong with whole files before anything is written, `ValueError` for a day before the start.
    """
    early = [day for day in days if day < dataset.start]
    if early:
        raise ValueError(f"days before the dataset's start {dataset.start}: {', '.join(map(str, early))}")
    with land(dataset, config=config, now=now) as landing:
        landing.raise_for_findings()
        cross_border(landing, border)
        deliver(landing)
        order_events(landing, days)
        num_rows = {contract.name: 0 for contract in RAW_TABLES}
        for day in days:
            for contract in RAW_TABLES:
                table = partition(landing, contract, day)
                store.write(contract, table, day=day)
                num_rows[contract.name] += table.num_rows
        return IngestReport(tuple(days), num_rows, *_totals(landing))


def event_days(dataset: Dataset, *, config: IntakeConfig, now: datetime) -> EventDays:
    """First and last UTC day of the good events; reads no other table.

    Raises `DatasetError` where files cannot be read or no event keeps the contract.
    """
    with land(dataset, config=config, now=now, tables=("events",)) as landing:
        landing.raise_for_findings()
        first, last = landing.connection.execute(f"SELECT min({EVENT_DAY}), max({EVENT_DAY}) FROM {landing.good('events')}").fetchall()[0]
        if first is None:
            what = f"no event keeps the contract; {landing.num_rejected('events')} row(s) were kept out"
            raise DatasetError(str(dataset.path), [Finding("tables.events", what, "run `interest-graph validate` to see why")])
        return EventDays(first, last)


def _totals(landing: Landing) -> tuple[int, int]:
    tables = ("events", "items", "users", "knowledge")
    return sum(landing.count(landing.good(table)) for table in tables), sum(landing.num_rejected(table) for table in tables)
