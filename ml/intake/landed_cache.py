"""Typed, checked rows of landing files, kept as Parquet so that a file is parsed once.

An entry holds the rows one file gives one source: the good ones, the rejected ones,
and the span of `now` for which that verdict holds. What cannot be read counts as
absent. What keys say is in `ml.intake.landed_key`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ml.contracts.files import write_parquet
from ml.intake.json_lines import KeyCount
from ml.intake.session import literal

LATEST, NEXT, NUM_REJECTED = b"latest", b"next", b"num_rejected"
_KEYS = pa.schema([("key", pa.string()), ("num_given", pa.int64()), ("num_nested", pa.int64())])


@dataclass(frozen=True)
class Verdict:
    """Newest event time that is not in the future, and the next that is: between them no row is judged differently."""

    latest: datetime | None = None
    next: datetime | None = None

    def holds_at(self, now: datetime) -> bool:
        """Whether every row would be judged the same at `now`."""
        return (self.latest is None or self.latest <= now) and (self.next is None or now < self.next)


@dataclass
class LandedCache:
    """The entries below `directory`, one folder a table; those looked up or saved since it was made are in use."""

    directory: Path
    in_use: set[Path] = field(default_factory=set)

    def has(self, table: str, key: str, *, now: datetime) -> bool:
        """Whether a whole entry is there whose verdict holds at `now`."""
        rows, rejected = self._paths(table, key)
        try:
            metadata = pq.read_metadata(rows).metadata or {}
            num_rejected = int(metadata[NUM_REJECTED])
            verdict = Verdict(*(_moment(metadata[name]) for name in (LATEST, NEXT)))
            is_whole = num_rejected == 0 or pq.read_metadata(rejected).num_rows == num_rejected
        except (OSError, pa.ArrowException, KeyError, ValueError):
            return False
        return is_whole and verdict.holds_at(now)

    def load(self, connection: duckdb.DuckDBPyConnection, table: str, keys: Sequence[str], *, unit: int) -> set[str]:
        """Insert the rows of `keys` into `landed_<table>` and `rejected` as `unit`; returns the keys that could not be read."""
        if not keys or self._insert(connection, table, keys, unit):
            return set()
        return {key for key in keys if not self._insert(connection, table, [key], unit)}

    def _insert(self, connection: duckdb.DuckDBPyConnection, table: str, keys: Sequence[str], unit: int) -> bool:
        paths = [self._paths(table, key) for key in keys]
        rejected = [path for _, path in paths if path.exists()]
        connection.execute("BEGIN")
        try:
            connection.execute(
                f"INSERT INTO landed_{table} BY NAME SELECT *, {unit} AS unit, 0 AS failures FROM {_parquet([rows for rows, _ in paths])}"
            )
            if rejected:
                connection.execute(f"INSERT INTO rejected BY NAME SELECT *, {unit} AS unit FROM {_parquet(rejected)}")
        except duckdb.OutOfMemoryException:
            raise
        except duckdb.Error:
            connection.execute("ROLLBACK")
            return False
        connection.execute("COMMIT")
        self.in_use.update(path for pair in paths for path in pair)
        return True

    def save(self, connection: duckdb.DuckDBPyConnection, table: str, keys: Mapping[str, str], *, unit: int, now: datetime) -> None:
        """Keep what was landed as `unit`, file by file; `keys` are those of its files by name."""
        rows: pa.Table = connection.sql(
            f"SELECT * EXCLUDE (unit, failures) FROM landed_{table} WHERE unit = {unit} AND failures = 0 ORDER BY source_file, source_row"
        ).to_arrow_table()
        rejected: pa.Table = connection.sql(
            f"SELECT * EXCLUDE (unit) FROM rejected WHERE unit = {unit} ORDER BY source_file, source_row, column_name, reason"
        ).to_arrow_table()
        verdicts = _verdicts(connection, unit=unit, now=now) if table == "events" else {}
        rows_of, rejected_of = _by_file(rows), _by_file(rejected)
        for name, key in keys.items():
            self._save(
                table,
                key,
                rows=rows_of.get(name, rows.slice(0, 0)),
                rejected=rejected_of.get(name, rejected.slice(0, 0)),
                verdict=verdicts.get(name, Verdict()),
            )

    def _save(self, table: str, key: str, *, rows: pa.Table, rejected: pa.Table, verdict: Verdict) -> None:
        paths = rows_path, rejected_path = self._paths(table, key)
        # The rows come last and go first: with them the entry is whole.
        for path in paths:
            path.unlink(missing_ok=True)
        if rejected.num_rows:
            write_parquet(rejected, rejected_path)
        metadata = {LATEST: _text(verdict.latest), NEXT: _text(verdict.next), NUM_REJECTED: str(rejected.num_rows).encode()}
        write_parquet(rows.replace_schema_metadata(metadata), rows_path)
        self.in_use.update(paths)

    def key_counts(self, table: str, key: str) -> list[KeyCount] | None:
        """What a JSON file says of its keys; None where that is not known."""
        path = self._keys_path(table, key)
        try:
            found = pq.read_table(path, schema=_KEYS, partitioning=None).to_pylist()
        except (OSError, pa.ArrowException, ValueError):
            return None
        self.in_use.add(path)
        return [KeyCount(**row) for row in found]

    def save_key_counts(self, table: str, key: str, counts: Sequence[KeyCount]) -> None:
        """Keep what a JSON file says of its keys."""
        path = self._keys_path(table, key)
        write_parquet(pa.Table.from_pylist([vars(count) for count in counts], schema=_KEYS), path)
        self.in_use.add(path)

    def sweep(self, tables: Sequence[str]) -> None:
        """Delete the entries of `tables` that are not in use."""
        for table in tables:
            for path in (self.directory / table).glob("*.parquet"):
                if path not in self.in_use:
                    path.unlink(missing_ok=True)

    def _paths(self, table: str, key: str) -> tuple[Path, Path]:
        return self.directory / table / f"{key}.rows.parquet", self.directory / table / f"{key}.rejected.parquet"

    def _keys_path(self, table: str, key: str) -> Path:
        return self.directory / table / f"{key}.keys.parquet"


def _verdicts(connection: duckdb.DuckDBPyConnection, *, unit: int, now: datetime) -> dict[str, Verdict]:
    found = connection.execute(
        "SELECT source_file, max(event_at) FILTER (event_at <= $now), min(event_at) FILTER (event_at > $now)"
        f" FROM landed_events WHERE unit = {unit} GROUP BY source_file",
        {"now": now},
    ).fetchall()
    return {name: Verdict(*moments) for name, *moments in found}


def _by_file(table: pa.Table) -> dict[str, pa.Table]:
    """The stretches of a table that is sorted by `source_file`."""
    parts, start = {}, 0
    for name, count in (entry.values() for entry in pc.value_counts(table.column("source_file")).to_pylist()):
        parts[name] = table.slice(start, count)
        start += count
    return parts


def _parquet(paths: Sequence[Path]) -> str:
    return f"read_parquet([{', '.join(literal(str(path)) for path in paths)}])"


def _text(moment: datetime | None) -> bytes:
    return b"" if moment is None else moment.astimezone(UTC).isoformat().encode()


def _moment(text: bytes) -> datetime | None:
    return datetime.fromisoformat(text.decode()) if text else None
