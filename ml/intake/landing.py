"""Landing files as typed rows in DuckDB: the one reading that validation and ingestion share.

Every row of every file ends up either in `landed_<table>` with `failures = 0` or
in `rejected`; what concerns a whole file is collected as findings. Nothing is
written outside the connection but the entries of a `LandedCache`.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from ml.config.pipeline import IntakeConfig
from ml.contracts.behaviour import QUARANTINED_ROWS
from ml.errors import ConfigError, DatasetError, Finding
from ml.intake.conversion import SQL_TYPES
from ml.intake.feedback import sources_of
from ml.intake.files import LandingFile, find_files
from ml.intake.hidden import BROKEN, HIDDEN
from ml.intake.json_lines import Shape, append_lines, count_keys, make_lines, shape_of, spread
from ml.intake.landed_cache import LandedCache
from ml.intake.landed_key import file_key, keys_key, read_columns, source_key
from ml.intake.mapping import KINDS
from ml.intake.rejection import reject_broken
from ml.intake.schema import Dataset, Source
from ml.intake.session import first_line, identifier, literal, open_session
from ml.intake.typed_rows import RAW, type_rows
from ml.intake.units import Unit, drop, load, units

JSON_LINES = "landing_json_lines"


@dataclass
class Landing:
    """A connection holding `landed_<table>` and `rejected`, and what is wrong with whole files.

    `modified_ns` is when each file was last written, by name. Of a file that two sources name, the later
    source's rows have the higher `unit`. Hints are about the files that were parsed, not those that were reused.
    """

    connection: duckdb.DuckDBPyConnection
    dataset: Dataset
    now: datetime
    cache: LandedCache | None = None
    findings: list[Finding] = field(default_factory=list)
    hints: list[Finding] = field(default_factory=list)
    modified_ns: dict[str, int | None] = field(default_factory=dict)
    num_units: int = 0
    num_parsed: int = 0
    num_reused: int = 0

    def next_unit(self) -> int:
        """A new unit's number, higher than all before."""
        self.num_units += 1
        return self.num_units

    def good(self, table: str) -> str:
        """SQL of a table's rows that keep the contract."""
        return f"(SELECT * EXCLUDE (failures) FROM landed_{table} WHERE failures = 0)"

    def count(self, rows: str) -> int:
        """Number of rows of a SQL relation."""
        return int(self.connection.execute(f"SELECT count(*) FROM {rows}").fetchall()[0][0])

    def num_rejected(self, table: str) -> int:
        """Rows of a table kept out, each counted once however many reasons it has."""
        return self.count(f"(SELECT DISTINCT source_file, source_row FROM rejected WHERE table_name = {literal(table)})")

    def raise_for_findings(self) -> None:
        """Raise `DatasetError` with everything that concerns whole files, if there is anything."""
        if self.findings:
            raise DatasetError(str(self.dataset.path), self.findings)


@dataclass(frozen=True)
class _JsonLines:
    """The JSON files whose lines were read, the columns that all files of the source have together, and the files that are torn."""

    files: tuple[LandingFile, ...]
    shape: Shape
    findings: list[Finding]


@contextmanager
def land(
    dataset: Dataset, *, config: IntakeConfig, now: datetime, tables: Sequence[str] = tuple(KINDS), landed: Path | None = None
) -> Iterator[Landing]:
    """Read the landing files of `tables`; the result lives as long as the block.

    Below `landed` the typed rows of each file are kept, so that a file is parsed when it is new or has changed;
    None: every file is parsed. Raises `ConfigError` where the memory the profile allows does not suffice, inside the block too.
    """
    with open_session(config, timezone=dataset.timezone) as connection:
        landing = Landing(connection, dataset, now.astimezone(UTC), LandedCache(landed) if landed is not None else None)
        try:
            _make_tables(connection)
            for table in tables:
                for source in sources_of(dataset, table):
                    _SourceLanding(landing, table, source).land()
            connection.execute("SET TimeZone = 'UTC'")
            if landing.cache is not None and not landing.findings:
                landing.cache.sweep(tables)
            yield landing
        except duckdb.OutOfMemoryException as error:
            what = f"intake.memory_limit {config.memory_limit} does not suffice for {dataset.path.name}"
            raise ConfigError(f"{what}: {first_line(error)}; raise it, or lower intake.threads, in the profile") from error


def _make_tables(connection: duckdb.DuckDBPyConnection) -> None:
    for table, kinds in KINDS.items():
        columns = ", ".join(f"{identifier(name)} {SQL_TYPES[kind]}" for name, kind in kinds.items())
        place = "source_file VARCHAR, source_row BIGINT, unit BIGINT, failures UBIGINT"
        connection.execute(f"CREATE TABLE landed_{table} ({columns}, {place})")
    texts = ", ".join(f"{column.name} {'BIGINT' if column.name == 'source_row' else 'VARCHAR'}" for column in QUARANTINED_ROWS.columns)
    connection.execute(f"CREATE TABLE rejected ({texts}, event_at TIMESTAMPTZ, unit BIGINT)")


class _SourceLanding:
    """One source on its way in: of its files what is kept is reused, the others are parsed and kept."""

    def __init__(self, landing: Landing, table: str, source: Source) -> None:
        self.landing = landing
        self.connection = landing.connection
        self.table = table
        self.source = source
        self.key: str | None = None

    def land(self) -> None:
        """Land every file; what is wrong with whole ones becomes findings."""
        num_findings = len(self.landing.findings)
        try:
            files = find_files(self.landing.dataset, self.source)
            lookups = {name: find_files(self.landing.dataset, options) for name, options in self.source.lookups.items()}
        except DatasetError as error:
            self.landing.findings += error.findings
            return
        self.landing.modified_ns |= {file.name: file.modified_ns for file in files}
        if self.landing.cache is not None:
            self.key = source_key(self.landing.dataset, self.table, self.source, lookups=lookups)
        changed = self._reuse([file for file in files if file.format != "json"])
        lines = self._read_json([file for file in files if file.format == "json"])
        self._land_lookups(lookups, are_read=bool(changed or lines.files))
        if len(self.landing.findings) == num_findings:
            self._land_json(lines)
            for unit in units(self.connection, changed, findings=self.landing.findings):
                self._land_unit(unit)

    def _reuse(self, files: Sequence[LandingFile], *, shape: Shape | None = None, key: str | None = None) -> list[LandingFile]:
        """Land what is kept of `files`; returns those to be parsed."""
        cache = self.landing.cache
        keys = self._keys(files, shape=shape, key=key)
        if cache is None or not keys:
            return list(files)
        kept = [each for each in keys.values() if cache.has(self.table, each, now=self.landing.now)]
        reused = set(kept) - cache.load(self.connection, self.table, kept, unit=self.landing.next_unit())
        self.landing.num_reused += len(reused)
        return [file for file in files if keys.get(file.name) not in reused]

    def _keys(self, files: Sequence[LandingFile], *, shape: Shape | None, key: str | None = None) -> dict[str, str]:
        key = key or self.key
        if key is None:
            return {}
        seen = None if shape is None else read_columns(shape, self.source)
        return {file.name: file_key(key, file, shape=seen) for file in files if not file.is_remote}

    def _read_json(self, files: Sequence[LandingFile]) -> _JsonLines:
        """Land what is kept of JSON files and read the lines of the others: their columns are known from the keys of all."""
        make_lines(self.connection, JSON_LINES)
        cache = self.landing.cache if self.key is not None else None
        known = {file.name: cache.key_counts(self.table, keys_key(file)) for file in files if not file.is_remote} if cache else {}
        counts = {name: count for name, count in known.items() if count is not None}
        new = [file for file in files if file.name not in counts]
        findings = append_lines(self.connection, new, lines=JSON_LINES)
        found = count_keys(self.connection, JSON_LINES)
        shape = shape_of([*counts.values(), *found.values()])
        changed = self._reuse([file for file in files if file.name in counts], shape=shape)
        findings += append_lines(self.connection, changed, lines=JSON_LINES)
        if cache is not None and not findings:
            for file in new:
                if not file.is_remote:
                    cache.save_key_counts(self.table, keys_key(file), found.get(file.name, []))
        parsed = {file.name for file in (*new, *changed)}
        return _JsonLines(tuple(file for file in files if file.name in parsed), shape, findings)

    def _land_lookups(self, lookups: Mapping[str, Sequence[LandingFile]], *, are_read: bool) -> None:
        """Load the lookups where a file is parsed with them; what is rejected of them counts in any case."""
        for name, files in lookups.items():
            key = None if self.key is None else f"{self.key} lookup {name}"
            if key is not None and not are_read and not self._reuse(files, key=key):
                continue
            self._load_lookup(name, files, key=key)

    def _load_lookup(self, name: str, files: Sequence[LandingFile], *, key: str | None) -> None:
        number, findings = self.landing.next_unit(), len(self.landing.findings)
        parts = []
        try:
            for place, unit in enumerate(units(self.connection, files, findings=self.landing.findings)):
                part = f"lookup_{name}_{place}"
                columns = load(self.connection, unit, relation=part, findings=self.landing.findings)
                reject_broken(self.connection, self.table, relation=part, columns=columns, unit=number)
                parts.append(f"SELECT * EXCLUDE ({', '.join(HIDDEN)}) FROM {identifier(part)} WHERE {BROKEN} IS NULL")
        except DatasetError as error:
            self.landing.findings += error.findings
        if parts:
            self.connection.execute(f"CREATE OR REPLACE TEMP VIEW {identifier(name)} AS {' UNION ALL BY NAME '.join(parts)}")
        self._keep(files, self._keys(files, shape=None, key=key), number=number, num_findings=findings)

    def _land_json(self, lines: _JsonLines) -> None:
        num_findings = len(self.landing.findings)
        self.landing.findings += lines.findings
        drop(self.connection, RAW)
        spread(self.connection, JSON_LINES, relation=RAW, shape=lines.shape)
        if not lines.files:
            return
        unit, number = Unit(lines.files), self.landing.next_unit()
        self._type_rows(unit, [column.name for column in lines.shape], number=number)
        self._keep(unit.files, self._keys(unit.files, shape=lines.shape), number=number, num_findings=num_findings)

    def _land_unit(self, unit: Unit) -> None:
        num_findings, number = len(self.landing.findings), self.landing.next_unit()
        try:
            columns = load(self.connection, unit, relation=RAW, findings=self.landing.findings)
        except DatasetError as error:
            self.landing.findings += error.findings
            return
        self._type_rows(unit, columns, number=number)
        self._keep(unit.files, self._keys(unit.files, shape=None), number=number, num_findings=num_findings)

    def _keep(self, files: Sequence[LandingFile], keys: Mapping[str, str], *, number: int, num_findings: int) -> None:
        """Count `files` as parsed and keep what was landed of them, unless something is wrong with one of them."""
        self.landing.num_parsed += len(files)
        if self.landing.cache is not None and keys and len(self.landing.findings) == num_findings:
            self.landing.cache.save(self.connection, self.table, keys, unit=number, now=self.landing.now)

    def _type_rows(self, unit: Unit, columns: list[str], *, number: int) -> None:
        findings, hints = type_rows(
            self.connection,
            unit,
            columns=columns,
            number=number,
            dataset=self.landing.dataset,
            table=self.table,
            source=self.source,
            now=self.landing.now,
        )
        self.landing.findings += findings
        self.landing.hints += hints
