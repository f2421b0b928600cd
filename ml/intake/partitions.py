"""Raw tables by partition day: the rows of each, and a digest that says whether they changed.

`partition_day` of a row is the first partition that holds it, so that a daily
partition is the rows of its day and a snapshot those of every day up to its own.
The digests of all days cost one statement a table.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import pyarrow as pa

from ml.contracts.behaviour import QUARANTINED_ROWS, RAW_EVENTS, RAW_ITEMS, RAW_KNOWLEDGE, RAW_USERS
from ml.contracts.contract import TIMESTAMP, TableContract
from ml.intake.deliveries import IS_FRIENDSHIP
from ml.intake.landing import Landing

PLACE = "source_file, source_row"
LOWER_HALF = (1 << 64) - 1
# What stands first in a partition's order; a hash of the whole row breaks ties.
ORDER = {
    RAW_EVENTS.name: f"event_at, event_id, user_id, {PLACE}",
    RAW_ITEMS.name: f"item_id, {PLACE}",
    RAW_USERS.name: f"user_id, {PLACE}",
    RAW_KNOWLEDGE.name: f"head, relation, tail, {PLACE}",
    QUARANTINED_ROWS.name: f"table_name, {PLACE}, column_name, reason",
}


@dataclass(frozen=True)
class Digest:
    """What stands for a set of rows: how many, and the sums of the two halves of each row's md5.

    Sums know repeated rows but no order, so nothing is sorted; 2 x 64 bits of md5 do not collide by accident.
    """

    num_rows: int = 0
    sum_upper: int = 0
    sum_lower: int = 0

    def __add__(self, other: "Digest") -> "Digest":
        return Digest(self.num_rows + other.num_rows, self.sum_upper + other.sum_upper, self.sum_lower + other.sum_lower)

    @property
    def sha256(self) -> str:
        """The same as one hexadecimal text."""
        return hashlib.sha256(f"{self.num_rows} {self.sum_upper} {self.sum_lower}".encode()).hexdigest()


# The digest of a partition without rows, whatever its table.
EMPTY_DIGEST = Digest().sha256


def digests(landing: Landing, contract: TableContract, days: Sequence[date]) -> dict[date, Digest]:
    """The digest of what each partition of `days` would hold."""
    added = _added(landing, contract)
    if contract.grain == "daily":
        return {day: added.get(day, Digest()) for day in days}
    known, found = Digest(), {}
    for day in sorted({*added, *days}):
        known += added.get(day, Digest())
        found[day] = known
    return {day: found[day] for day in days}


def _added(landing: Landing, contract: TableContract) -> dict[date, Digest]:
    rows = landing.connection.execute(
        f"WITH hashed AS (SELECT partition_day, md5_number({_row_text(contract)}) AS row_md5 FROM {_rows(landing, contract)})"
        f" SELECT partition_day, count(*), sum((row_md5 >> 64)::UBIGINT), sum((row_md5 & {LOWER_HALF}::UHUGEINT)::UBIGINT)"
        " FROM hashed GROUP BY partition_day"
    ).fetchall()
    return {day: Digest(*sums) for day, *sums in rows}


def order_events(landing: Landing, days: Sequence[date]) -> None:
    """Make `ordered_events`: the delivered events of `days`, day by day, so that a partition is one stretch of it."""
    wanted = ", ".join(f"DATE '{day}'" for day in days) or "NULL"
    landing.connection.execute(
        f"CREATE TEMP TABLE ordered_events AS SELECT * FROM delivered_events WHERE partition_day IN ({wanted}) ORDER BY partition_day"
    )


def partition(landing: Landing, contract: TableContract, day: date) -> pa.Table:
    """The rows of one partition, in the table's order; events only of the days given to `order_events`."""
    columns = ", ".join(column.name for column in contract.columns)
    rows = "ordered_events" if contract is RAW_EVENTS else _rows(landing, contract)
    compared = "=" if contract.grain == "daily" else "<="
    order = f"{ORDER[contract.name]}, md5({_row_text(contract)})"
    statement = f"SELECT {columns} FROM {rows} WHERE partition_day {compared} $day ORDER BY {order}"
    return landing.connection.sql(statement, params={"day": day}).to_arrow_table()


def _rows(landing: Landing, contract: TableContract) -> str:
    start = f"DATE '{landing.dataset.start}'"
    users = f"(SELECT users.* REPLACE (inside_id AS user_id) FROM {landing.good('users')} AS users JOIN inside_users ON raw_id = user_id)"
    sources = {
        RAW_EVENTS.name: "delivered_events",
        RAW_ITEMS.name: f"(SELECT *, {_first_partition('created_at', start)} FROM {landing.good('items')})",
        RAW_USERS.name: f"(SELECT *, {start} AS partition_day FROM {users})",
        RAW_KNOWLEDGE.name: f"(SELECT *, {start} AS partition_day FROM {_knowledge_inside(landing)})",
        QUARANTINED_ROWS.name: f"(SELECT *, {_first_partition('event_at', start)} FROM rejected)",
    }
    return sources[contract.name]


def _knowledge_inside(landing: Landing) -> str:
    """SQL of the triples, friends by their inside ids."""
    joins = " ".join(f"LEFT JOIN inside_users AS {end}s ON {IS_FRIENDSHIP} AND {end}s.raw_id = trim({end})" for end in ("head", "tail"))
    inside = "coalesce(heads.inside_id, head) AS head, coalesce(tails.inside_id, tail) AS tail"
    return f"(SELECT knowledge.* REPLACE ({inside}) FROM {landing.good('knowledge')} AS knowledge {joins})"


def _first_partition(moment: str, start: str) -> str:
    """SQL of the first partition that knows a moment; a row without one is known from the start."""
    return f"greatest(coalesce(CAST({moment} AT TIME ZONE 'UTC' AS DATE), {start}), {start}) AS partition_day"


def _row_text(contract: TableContract) -> str:
    """SQL of a row as JSON, so that no two rows share a text; moments as microseconds, whatever the time zone."""
    texts = (f"epoch_us({column.name})" if column.dtype == TIMESTAMP else column.name for column in contract.columns)
    return f"json_array({', '.join(texts)})::VARCHAR"
