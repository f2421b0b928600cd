"""Landing files to raw tables, a Parquet file a day: the only writer of the raw layer.

The files are read once for all days asked for. Nothing is written before every
file has been read, so a torn file leaves no half-written day behind.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

import pyarrow as pa

from ml.config.pipeline import IntakeConfig
from ml.contracts.behaviour import QUARANTINED_ROWS, RAW_EVENTS, RAW_ITEMS, RAW_KNOWLEDGE, RAW_TABLES, RAW_USERS
from ml.contracts.contract import TableContract
from ml.contracts.store import TableStore
from ml.days import as_of
from ml.errors import DatasetError, Finding
from ml.ids import UserIdBorder
from ml.intake.landing import Landing, land
from ml.intake.schema import Dataset

# Exact duplicates get one id, so that the warehouse can drop them; the parts are JSON, so that no two events share a text.
EVENT_ID = "coalesce(event_id, md5(json_array(user_id, item_id, event_type, epoch_us(event_at), value, text)::VARCHAR))"
EVENT_DAY = "CAST(event_at AT TIME ZONE 'UTC' AS DATE)"


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
        _cross_border(landing, border)
        _order_events(landing, days)
        num_rows = {contract.name: 0 for contract in RAW_TABLES}
        for day in days:
            for contract in RAW_TABLES:
                table = _partition(landing, contract, day)
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


def _cross_border(landing: Landing, border: UserIdBorder) -> None:
    """Make `inside_users`: raw user id to inside id. The one place where raw ids come in."""
    users = f"SELECT user_id FROM {landing.good('events')} UNION SELECT user_id FROM {landing.good('users')} ORDER BY user_id"
    raw = [row[0] for row in landing.connection.execute(users).fetchall()]
    inside = pa.table({"raw_id": pa.array(raw, pa.string()), "inside_id": pa.array([border.inward(user) for user in raw], pa.string())})
    landing.connection.register("border_ids", inside)
    landing.connection.execute("CREATE TABLE inside_users AS SELECT * FROM border_ids")
    landing.connection.unregister("border_ids")


def _order_events(landing: Landing, days: Sequence[date]) -> None:
    """Make `ordered_events`: the good events of `days` with inside ids, event ids and partition days, in order."""
    wanted = ", ".join(f"DATE '{day}'" for day in days) or "NULL"
    landing.connection.execute(
        f"CREATE TABLE ordered_events AS WITH crossed AS (SELECT events.* REPLACE (inside_id AS user_id),"
        f" greatest({EVENT_DAY}, DATE '{landing.dataset.start}') AS partition_day"
        f" FROM {landing.good('events')} AS events JOIN inside_users ON raw_id = user_id)"
        f" SELECT * REPLACE ({EVENT_ID} AS event_id) FROM crossed WHERE partition_day IN ({wanted})"
        " ORDER BY partition_day, event_at, event_id, source_file, source_row"
    )


def _partition(landing: Landing, contract: TableContract, day: date) -> pa.Table:
    columns = ", ".join(column.name for column in contract.columns)
    known_users = (
        f"(SELECT users.* REPLACE (inside_id AS user_id) FROM {landing.good('users')} AS users JOIN inside_users ON raw_id = user_id)"
    )
    place = "source_file, source_row"
    rest = {
        RAW_EVENTS.name: f"ordered_events WHERE partition_day = $day ORDER BY event_at, event_id, {place}",
        RAW_ITEMS.name: f"{landing.good('items')} WHERE created_at IS NULL OR created_at < $ends ORDER BY item_id, {place}",
        RAW_USERS.name: f"{known_users} ORDER BY user_id, {place}",
        RAW_KNOWLEDGE.name: f"{landing.good('knowledge')} ORDER BY head, relation, tail, {place}",
        QUARANTINED_ROWS.name: f"rejected WHERE event_at IS NULL OR event_at < $ends ORDER BY table_name, {place}, column_name, reason",
    }[contract.name]
    given = {name: value for name, value in {"day": day, "ends": as_of(day)}.items() if f"${name}" in rest}
    return landing.connection.sql(f"SELECT {columns} FROM {rest}", params=given).to_arrow_table()


def _totals(landing: Landing) -> tuple[int, int]:
    tables = ("events", "items", "users", "knowledge")
    return sum(landing.count(landing.good(table)) for table in tables), sum(landing.num_rejected(table) for table in tables)
