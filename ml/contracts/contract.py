"""What a table promises: its grain, key and columns, declared once.

Everything else derives from here: the check on write, the blocking asset check,
the page `docs/tables.md`, the schemas compared with dbt's manifest and Feast.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

from ml.days import as_of
from ml.errors import ContractError, LeakageError

Layer = Literal["raw", "mart", "text", "interests", "graph", "output", "features", "monitoring"]

# "daily": a partition holds that day's rows, history is every partition up to the day.
# "snapshot": a partition holds everything as known at the day's end.
Grain = Literal["daily", "snapshot"]

STRING = pa.string()
FLOAT = pa.float64()
INTEGER = pa.int64()
BOOLEAN = pa.bool_()
DAY = pa.date32()
# Microseconds: nanosecond timestamps with a zone break DuckDB 2.0 readers (Feast's among them).
TIMESTAMP = pa.timestamp("us", tz="UTC")
STRINGS = pa.list_(pa.string())
FLOATS = pa.list_(pa.float64())
VECTOR = pa.list_(pa.float32())
FEAST_MOMENTS = ("event_timestamp", "created_timestamp")


@dataclass(frozen=True)
class Column:
    """One column: its Arrow type, whether it may be null, and one line of meaning with its unit."""

    name: str
    dtype: pa.DataType
    description: str
    nullable: bool = False


@dataclass(frozen=True)
class TableContract:
    """A table's promise. `row` says what one row is; `key` is unique within a partition."""

    name: str
    layer: Layer
    grain: Grain
    row: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]

    @property
    def moments(self) -> tuple[str, ...]:
        """Columns that say when something happened: all before the partition's `as_of`. Feast's two say `as_of` itself."""
        return tuple(column.name for column in self.columns if column.dtype == TIMESTAMP and column.name not in FEAST_MOMENTS)

    @property
    def days(self) -> tuple[str, ...]:
        """Columns that hold a UTC day, none after the partition's."""
        return tuple(column.name for column in self.columns if column.dtype == DAY)

    @property
    def schema(self) -> pa.Schema:
        """The Arrow schema, nullability included."""
        return pa.schema([pa.field(column.name, column.dtype, nullable=column.nullable) for column in self.columns])

    def empty(self) -> pa.Table:
        """A table of this contract without rows."""
        return self.schema.empty_table()

    def conform(self, table: pa.Table) -> pa.Table:
        """Select, order and cast to the contract's columns, then check every promise.

        Raises `ContractError` with every failure found: missing columns, casts that
        lose data, nulls where none may be, duplicate keys.
        """
        missing = [column.name for column in self.columns if column.name not in table.column_names]
        if missing:
            raise ContractError(self.name, [f"column {name} is missing; found {', '.join(table.column_names)}" for name in missing])
        try:
            # Cast by field, not by schema, so that nulls reach our own message below.
            arrays = [table.column(column.name).cast(column.dtype) for column in self.columns]
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise ContractError(self.name, [str(error)]) from error
        conformed = pa.table(arrays, names=[column.name for column in self.columns])
        failures = [*self._null_failures(conformed), *self._key_failures(conformed)]
        if failures:
            raise ContractError(self.name, failures)
        return conformed.cast(self.schema)

    def require_types(self, schema: pa.Schema) -> None:
        """Raise `ContractError` with every column of `schema` that is absent or of another type: a cast would hide a drift."""
        failures = [
            f"column {column.name} is {schema.field(column.name).type if column.name in schema.names else 'missing'}, "
            f"the contract says {column.dtype}; change the SQL or the contract, in one commit"
            for column in self.columns
            if column.name not in schema.names or schema.field(column.name).type != column.dtype
        ]
        if failures:
            raise ContractError(self.name, failures)

    def _null_failures(self, table: pa.Table) -> list[str]:
        return [
            f"column {column.name} holds {table.column(column.name).null_count} null(s)"
            for column in self.columns
            if not column.nullable and table.column(column.name).null_count
        ]

    def _key_failures(self, table: pa.Table) -> list[str]:
        if not self.key:
            return []
        num_keys = table.group_by(list(self.key)).aggregate([]).num_rows
        return [] if num_keys == table.num_rows else [f"key ({', '.join(self.key)}) repeats in {table.num_rows - num_keys} row(s)"]


def check_no_leakage(table: pa.Table, *, name: str, column: str, as_of: datetime) -> None:
    """Raise `LeakageError` if any `column` (timestamp) is at or after `as_of`."""
    late = table.filter(pc.greater_equal(table.column(column), pa.scalar(as_of, TIMESTAMP)))
    if late.num_rows:
        raise LeakageError(name, num_rows=late.num_rows, latest=pc.max(late.column(column)).as_py(), as_of=as_of)


def check_no_future(table: pa.Table, *, contract: TableContract, day: date) -> None:
    """Raise `LeakageError` if any moment a partition of `day` holds is not before the day's end."""
    for column in contract.moments:
        check_no_leakage(table, name=contract.name, column=column, as_of=as_of(day))
    for column in contract.days:
        late = table.filter(pc.greater(table.column(column), pa.scalar(day, DAY)))
        if late.num_rows:
            latest = datetime.combine(pc.max(late.column(column)).as_py(), time(0), tzinfo=UTC)
            raise LeakageError(contract.name, num_rows=late.num_rows, latest=latest, as_of=as_of(day))


def latest_moment(table: pa.Table, *, contract: TableContract) -> datetime | None:
    """The newest moment the rows hold, UTC; None where they hold none."""
    newest = [pc.max(table.column(column)).as_py() for column in contract.moments]
    return max((moment for moment in newest if moment is not None), default=None)


def partition_name(day: date) -> str:
    """The partition key of a day, ISO `YYYY-MM-DD`."""
    return day.isoformat()
