"""Tables as Parquet files, one per partition, checked on write.

Layout: `<tables>/<table>/<YYYY-MM-DD>.parquet`. A file appears whole or not at
all (temporary name, sync, rename), so a reader never waits and never sees half.
"""

import os
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ml.contracts.contract import TableContract, partition_name
from ml.errors import MissingTableError


class TableStore:
    """Reads and writes one dataset's contract tables under `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def directory(self, name: str) -> Path:
        """Where a table's partitions lie."""
        return self.root / name

    def path(self, name: str, day: date) -> Path:
        """The file of one partition."""
        return self.directory(name) / f"{partition_name(day)}.parquet"

    def days(self, name: str) -> list[date]:
        """Written partitions, oldest first."""
        return sorted(date.fromisoformat(path.stem) for path in self.directory(name).glob("????-??-??.parquet"))

    def write(self, contract: TableContract, table: pa.Table, *, day: date) -> Path:
        """Conform `table` to its contract and write the partition atomically; returns its path."""
        return write_parquet(contract.conform(table), self.path(contract.name, day))

    def read(self, contract: TableContract, *, day: date) -> pa.Table:
        """One partition. Raises `MissingTableError` if it was never written."""
        path = self.path(contract.name, day)
        if not path.exists():
            raise MissingTableError(contract.name, partition_name(day), [partition_name(known) for known in self.days(contract.name)])
        return pq.read_table(path, partitioning=None).cast(contract.schema)

    def read_history(self, contract: TableContract, *, through: date, since: date | None = None) -> pa.Table:
        """A daily table's rows of every partition from `since` (default: the first) through `through`."""
        self.require(contract, day=through)
        days = [day for day in self.days(contract.name) if day <= through and (since is None or day >= since)]
        return pa.concat_tables([self.read(contract, day=day) for day in days]) if days else contract.empty()

    def require(self, contract: TableContract, *, day: date) -> None:
        """Raise `MissingTableError` unless the partition exists."""
        days = self.days(contract.name)
        if day not in days:
            raise MissingTableError(contract.name, partition_name(day), [partition_name(known) for known in days])


def write_parquet(table: pa.Table, path: Path) -> Path:
    """Write a Parquet file that is whole or absent: temporary name, fsync, rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with temporary.open("wb") as handle:
        pq.write_table(table, handle, compression="zstd")
        handle.flush()
        os.fsync(handle.fileno())
    temporary.replace(path)
    return path


def write_text(text: str, path: Path) -> Path:
    """Write a text file that is whole or absent: temporary name, fsync, rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with temporary.open("w", encoding="utf-8") as handle:
        handle.write(text)
        handle.flush()
        os.fsync(handle.fileno())
    temporary.replace(path)
    return path
