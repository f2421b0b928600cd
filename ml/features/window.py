"""The days before `as_of` that recent-activity features count."""

from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from ml.contracts.contract import DAY, TIMESTAMP, check_no_leakage

RECENT_DAYS = 28


def check_days_known(table: pa.Table, *, name: str, as_of: datetime) -> None:
    """Raise `LeakageError` if a row's `day` (date) begins at or after `as_of`."""
    begun = table.select(["day"]).set_column(0, "day", table.column("day").cast(TIMESTAMP))
    check_no_leakage(begun, name=name, column="day", as_of=as_of)


def recent(table: pa.Table, *, as_of: datetime, days: int = RECENT_DAYS) -> pa.Table:
    """Rows whose `day` (date) is one of the last `days` before `as_of`."""
    first = (as_of - timedelta(days=days)).astimezone(UTC).date()
    return table.filter(pc.greater_equal(table.column("day"), _day(first)))


def _day(day: date) -> pa.Scalar:
    return pa.scalar(day, DAY)
