"""Landing files as typed rows in DuckDB: the one reading that validation and ingestion share.

Every row of every file ends up either in `landed_<table>` with `failures = 0` or
in `rejected`; what concerns a whole file is collected as findings. Nothing is
written outside the connection.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import duckdb

from ml.config.pipeline import IntakeConfig
from ml.contracts.behaviour import QUARANTINED_ROWS
from ml.errors import ConfigError, DatasetError, Finding
from ml.intake.binding import bind
from ml.intake.conversion import SQL_TYPES, conversion
from ml.intake.delimited import column_names, load_delimited
from ml.intake.files import LandingFile, find_files
from ml.intake.hidden import BROKEN, FILE, HIDDEN, ROW
from ml.intake.json_lines import load_json
from ml.intake.mapping import KINDS
from ml.intake.parquet import copy_with_marks, load_parquet
from ml.intake.rejection import reject_broken, reject_failures
from ml.intake.rules import rules
from ml.intake.schema import SOURCE_RELATION, Dataset, LandingFiles, Source
from ml.intake.session import first_line, identifier, literal, open_session
from ml.intake.text import torn

RAW = "landing_raw"
# Small csv files of the same columns are taken together up to this size: planning SQL costs more than reading them.
MAX_BYTES_TOGETHER = 1 << 26


@dataclass(frozen=True)
class Unit:
    """Files that are read, typed and checked together; `names` are the columns of delimited ones."""

    files: tuple[LandingFile, ...]
    names: tuple[str, ...]

    @property
    def is_json(self) -> bool:
        """Whether its rows are objects, of which any may lack any key."""
        return self.files[0].format == "json"

    @property
    def num_bytes(self) -> int:
        """Size of all its files."""
        return sum(file.num_bytes for file in self.files)

    @property
    def label(self) -> str:
        """What findings about all its files call it."""
        more = f" and {len(self.files) - 1} more file(s)" if len(self.files) > 1 else ""
        return self.files[0].name + more


@dataclass
class Landing:
    """A connection holding `landed_<table>` and `rejected`, and what is wrong with whole files.

    `modified_ns` is when each file was last written, by name. Of a file that two sources name, the later
    source's rows have the higher `unit`.
    """

    connection: duckdb.DuckDBPyConnection
    dataset: Dataset
    now: datetime
    findings: list[Finding] = field(default_factory=list)
    hints: list[Finding] = field(default_factory=list)
    modified_ns: dict[str, int | None] = field(default_factory=dict)
    num_units: int = 0

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


@contextmanager
def land(dataset: Dataset, *, config: IntakeConfig, now: datetime, tables: Sequence[str] = tuple(KINDS)) -> Iterator[Landing]:
    """Read the landing files of `tables`; the result lives as long as the block.

    Raises `ConfigError` where the memory the profile allows does not suffice, inside the block too.
    """
    with open_session(config, timezone=dataset.timezone) as connection:
        landing = Landing(connection, dataset, now.astimezone(UTC))
        try:
            _make_tables(connection)
            for table in tables:
                for source in dataset.tables.of(table):
                    _land_source(landing, table, source)
            connection.execute("SET TimeZone = 'UTC'")
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
    connection.execute(f"CREATE TABLE rejected ({texts}, event_at TIMESTAMPTZ)")


def _land_source(landing: Landing, table: str, source: Source) -> None:
    num_findings = len(landing.findings)
    try:
        files = find_files(landing.dataset, source)
        landing.modified_ns |= {file.name: file.modified_ns for file in files}
        for name, options in source.lookups.items():
            _load_lookup(landing, table, name, options)
    except DatasetError as error:
        landing.findings += error.findings
    if len(landing.findings) > num_findings:
        return
    for unit in _units(landing, files):
        try:
            _land_unit(landing, table, source, unit)
        except DatasetError as error:
            landing.findings += error.findings


def _units(landing: Landing, files: Sequence[LandingFile]) -> list[Unit]:
    """Files read together: JSON as one, since its keys are only known from all of it; small csv files of the same columns."""
    together = tuple(file for file in files if file.format == "json")
    units = [Unit(together, ())] if together else []
    units += [Unit((file,), ()) for file in files if file.format == "parquet"]
    open_units: dict[tuple[str, ...], Unit] = {}
    for file in files:
        if file.format != "delimited" or (names := _names(landing, file)) is None:
            continue
        unit = open_units.get(names)
        if unit is not None and unit.num_bytes + file.num_bytes > MAX_BYTES_TOGETHER:
            units.append(unit)
            unit = None
        open_units[names] = Unit((*unit.files, file) if unit else (file,), names)
    return [*units, *open_units.values()]


def _names(landing: Landing, file: LandingFile) -> tuple[str, ...] | None:
    try:
        return tuple(column_names(landing.connection, file))
    except DatasetError as error:
        landing.findings += error.findings
    except duckdb.Error as error:
        landing.findings += torn(file, error).findings
    return None


def _land_unit(landing: Landing, table: str, source: Source, unit: Unit) -> None:
    landing.num_units += 1
    columns = _load(landing, unit, relation=RAW)
    if unit.is_json and not columns:
        reject_broken(landing.connection, table, relation=RAW, columns=columns)
        return
    binding = bind(landing.connection, table=table, source=source, relation=RAW, columns=columns, file=unit.label, is_json=unit.is_json)
    landing.findings += binding.findings
    landing.hints += [
        Finding(unit.label, f"no row has {name!r}, which the mapping names", "check its spelling, or drop it from the mapping")
        for name in sorted(binding.absent)
    ]
    if binding.findings:
        return
    if source.join is not None:
        _check_join(landing, source, unit.label)
    checks = rules(landing.dataset, table, source)
    _convert(landing, conversion(table, source, types=binding.types, rules=checks, unit=landing.num_units), unit)
    reject_broken(landing.connection, table, relation=RAW, columns=columns)
    reject_failures(landing.connection, table, rules=checks, columns=columns, unit=landing.num_units, now=landing.now)


def _load(landing: Landing, unit: Unit, *, relation: str) -> list[str]:
    connection = landing.connection
    # The same name is a view over a Parquet file and a table over any other; OR REPLACE does not cross kinds.
    known = connection.execute("SELECT table_type FROM information_schema.tables WHERE table_name = ?", [relation]).fetchall()
    for (kind,) in known:
        connection.execute(f"DROP {'VIEW' if kind == 'VIEW' else 'TABLE'} {identifier(relation)}")
    if unit.is_json:
        columns, findings = load_json(connection, unit.files, relation=relation)
        landing.findings += findings
        return columns
    try:
        if unit.files[0].format == "parquet":
            return load_parquet(connection, unit.files[0], relation=relation)
        landing.findings += load_delimited(connection, unit.files, names=unit.names, relation=relation)
        return list(unit.names)
    except duckdb.OutOfMemoryException:
        raise
    except duckdb.Error as error:
        raise torn(unit.files[0], error) from error


def _load_lookup(landing: Landing, table: str, name: str, options: LandingFiles) -> None:
    parts = []
    for number, unit in enumerate(_units(landing, find_files(landing.dataset, options))):
        part = f"lookup_{name}_{number}"
        columns = _load(landing, unit, relation=part)
        reject_broken(landing.connection, table, relation=part, columns=columns)
        parts.append(f"SELECT * EXCLUDE ({', '.join(HIDDEN)}) FROM {identifier(part)} WHERE {BROKEN} IS NULL")
    if parts:
        landing.connection.execute(f"CREATE OR REPLACE TEMP VIEW {identifier(name)} AS {' UNION ALL BY NAME '.join(parts)}")


def _check_join(landing: Landing, source: Source, label: str) -> None:
    kept = f"(SELECT {SOURCE_RELATION}.{FILE}, {SOURCE_RELATION}.{ROW} FROM {SOURCE_RELATION} {source.join})"
    try:
        made, distinct, given = landing.connection.execute(
            f"SELECT count(*), count(DISTINCT ({FILE}, {ROW})), (SELECT count(*) FROM {SOURCE_RELATION}) FROM {kept}"
        ).fetchall()[0]
    except duckdb.Error as error:
        finding = Finding(f"{label} join", f"cannot be made: {first_line(error)}", "mend the join, or the files it reads")
        raise DatasetError(label, [finding]) from error
    if not made == distinct == given:
        what = f"makes {made:,} rows of {given:,}; {given - distinct:,} row(s) are lost"
        raise DatasetError(label, [Finding(f"{label} join", what, "use left join, and group each lookup so that it has one row per key")])


def _convert(landing: Landing, statement: str, unit: Unit) -> None:
    file = unit.files[0]
    given = {"now": landing.now} if "$now" in statement else {}
    try:
        landing.connection.execute(statement, given)
    except duckdb.OutOfMemoryException:
        raise
    except duckdb.Error as error:
        if "not valid UTF8" not in str(error) or file.format != "parquet" or file.is_remote:
            raise torn(file, error) from error
        copy_with_marks(landing.connection, file, relation=RAW)
        landing.connection.execute(statement, given)
