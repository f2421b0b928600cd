"""Tables as Parquet files, one per partition, checked on write.

Layout: `<tables>/<table>/<YYYY-MM-DD>.parquet`, its manifest beside it as
`<YYYY-MM-DD>.json`. A file appears whole or not at all, so a reader never waits
and never sees half; the manifest comes last and says what the file was made from.
"""

from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ml.contracts.contract import TableContract, check_no_future, latest_moment, partition_name
from ml.contracts.files import sha256_of, sync_file, write_parquet
from ml.contracts.manifest import Manifest, Recipe, combined, is_whole, read_manifest
from ml.days import as_of, days_through
from ml.errors import MissingTableError, TornTableError

AS_OF = b"as_of"


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

    def manifest_path(self, name: str, day: date) -> Path:
        """The manifest of one partition."""
        return self.path(name, day).with_suffix(".json")

    def days(self, name: str) -> list[date]:
        """Written partitions, oldest first."""
        return sorted(date.fromisoformat(path.stem) for path in self.directory(name).glob("????-??-??.parquet"))

    def write(self, contract: TableContract, table: pa.Table, *, day: date, recipe: Recipe | None = None) -> Path:
        """Conform `table` to its contract and write the partition, then its manifest; returns the file's path.

        Raises `ContractError` for a broken promise, `LeakageError` for a row from after the day.
        """
        conformed = contract.conform(table)
        check_no_future(conformed, contract=contract, day=day)
        stamped = conformed.replace_schema_metadata({**(conformed.schema.metadata or {}), AS_OF: as_of(day).isoformat().encode()})
        path = write_parquet(stamped, self.path(contract.name, day))
        self._finish(contract, conformed, day=day, recipe=recipe or Recipe())
        return path

    def seal(self, contract: TableContract, *, day: date, recipe: Recipe) -> Manifest:
        """Check a partition that another program wrote, types included, sync it, and write its manifest."""
        contract.require_types(pq.read_schema(self.path(contract.name, day)))
        table = self.read(contract, day=day)
        conformed = contract.conform(table)
        check_no_future(conformed, contract=contract, day=day)
        sync_file(self.path(contract.name, day))
        return self._finish(contract, conformed, day=day, recipe=recipe)

    def unseal(self, name: str, *, day: date) -> None:
        """Forget what a partition was made from: it is about to be made anew, and until then counts as never finished."""
        self.manifest_path(name, day).unlink(missing_ok=True)

    def _finish(self, contract: TableContract, table: pa.Table, *, day: date, recipe: Recipe) -> Manifest:
        path = self.path(contract.name, day)
        latest = latest_moment(table, contract=contract)
        manifest = Manifest(contract.name, day, table.num_rows, path.stat().st_size, sha256_of(path), latest, recipe)
        manifest.write(self.manifest_path(contract.name, day))
        return manifest

    def manifest(self, name: str, *, day: date) -> Manifest | None:
        """What a partition was made from; None where it was never finished."""
        return read_manifest(self.manifest_path(name, day))

    def is_made_from(self, name: str, recipe: Recipe, *, day: date) -> bool:
        """Whether a partition of exactly this recipe is there already, by its manifest and size; its bytes are not read."""
        manifest, path = self.manifest(name, day=day), self.path(name, day)
        return manifest is not None and manifest.recipe == recipe and path.exists() and path.stat().st_size == manifest.num_bytes

    def is_whole(self, name: str, *, day: date) -> bool:
        """Whether a partition holds exactly the bytes its manifest names; reads all of it."""
        manifest = self.manifest(name, day=day)
        return manifest is not None and is_whole(self.path(name, day), manifest)

    def head(self, contract: TableContract, *, day: date, num_rows: int) -> pa.Table:
        """The first rows of a partition, without reading the rest."""
        with pq.ParquetFile(self.path(contract.name, day)) as file:
            batch = next(file.iter_batches(batch_size=num_rows), None)
        return pa.Table.from_batches([batch]) if batch is not None else contract.empty()

    def digest(self, contract: TableContract, *, day: date, since: date) -> str:
        """The sha256 that stands for what `day` reads of a table: a snapshot's partition, or a daily table's history from `since`."""
        if contract.grain == "snapshot":
            return self._sha256(contract.name, day)
        return self.history_digests(contract, since=since, through=day)[day]

    def history_digests(self, contract: TableContract, *, since: date, through: date) -> dict[date, str]:
        """What stands for a daily table's history through each day, every one made of the one before: one pass for all days."""
        self._require_history(contract, since=since, through=through)
        found: dict[date, str] = {}
        before = ""
        for day in days_through(since, through):
            before = found[day] = combined({"before": before, partition_name(day): self._sha256(contract.name, day)})
        return found

    def _sha256(self, name: str, day: date) -> str:
        manifest = self.manifest(name, day=day)
        if manifest is not None:
            return manifest.sha256
        if not self.path(name, day).exists():
            raise self._missing(name, day)
        return sha256_of(self.path(name, day))

    def read(self, contract: TableContract, *, day: date) -> pa.Table:
        """One partition. Raises `MissingTableError` if it was never written."""
        path = self.path(contract.name, day)
        if not path.exists():
            raise self._missing(contract.name, day)
        return pq.read_table(path, partitioning=None).cast(contract.schema)

    def read_history(self, contract: TableContract, *, through: date, since: date | None = None) -> pa.Table:
        """A daily table's rows of every day from `since` (default: the first written) through `through`; raises where one is missing."""
        written = self.days(contract.name)
        first = since or (written[0] if written else through)
        self._require_history(contract, since=first, through=through)
        return pa.concat_tables([self.read(contract, day=day) for day in days_through(first, through)])

    def read_as_of(self, contract: TableContract, *, day: date, since: date) -> pa.Table:
        """What partition `day` of any asset may read of a table: the snapshot of the day, or the history from `since` through it.

        Raises `LeakageError` where the files hold a row from after the day, `TornTableError` where one
        holds other bytes than it was finished with.
        """
        daily = contract.grain == "daily"
        for each in days_through(since, day) if daily else (day,):
            self._require_whole(contract.name, each)
        table = self.read_history(contract, through=day, since=since) if daily else self.read(contract, day=day)
        check_no_future(table, contract=contract, day=day)
        return table

    def _require_whole(self, name: str, day: date) -> None:
        manifest, path = self.manifest(name, day=day), self.path(name, day)
        if manifest is not None and path.exists() and not is_whole(path, manifest):
            raise TornTableError(name, partition_name(day), str(path))

    def _require_history(self, contract: TableContract, *, since: date, through: date) -> None:
        absent = [day for day in days_through(since, through) if not self.path(contract.name, day).exists()]
        if absent or through < since:
            raise self._missing(contract.name, absent[0] if absent else through)

    def _missing(self, name: str, day: date) -> MissingTableError:
        return MissingTableError(name, partition_name(day), [partition_name(known) for known in self.days(name)])
