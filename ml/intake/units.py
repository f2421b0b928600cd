"""Which landing files are read together, and how their rows become one DuckDB relation.

The rows are as the files have them; what a mapping makes of them is
`ml.intake.landing`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import duckdb

from ml.errors import DatasetError, Finding
from ml.intake.delimited import column_names, load_delimited
from ml.intake.files import LandingFile
from ml.intake.json_lines import load_json
from ml.intake.parquet import load_parquet
from ml.intake.session import identifier
from ml.intake.text import torn

# Small csv files of the same columns are taken together up to this size: planning SQL costs more than reading them.
MAX_BYTES_TOGETHER = 1 << 26


@dataclass(frozen=True)
class Unit:
    """Files that are read, typed and checked together; `names` are the columns of delimited ones."""

    files: tuple[LandingFile, ...]
    names: tuple[str, ...] = ()

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


def units(connection: duckdb.DuckDBPyConnection, files: Sequence[LandingFile], *, findings: list[Finding]) -> list[Unit]:
    """Files read together: JSON as one, since its keys are only known from all of it; small csv files of the same columns.

    What is wrong with a file's header is added to `findings`.
    """
    together = tuple(file for file in files if file.format == "json")
    found = [Unit(together)] if together else []
    found += [Unit((file,)) for file in files if file.format == "parquet"]
    open_units: dict[tuple[str, ...], Unit] = {}
    for file in files:
        if file.format != "delimited" or (names := _names(connection, file, findings)) is None:
            continue
        unit = open_units.get(names)
        if unit is not None and unit.num_bytes + file.num_bytes > MAX_BYTES_TOGETHER:
            found.append(unit)
            unit = None
        open_units[names] = Unit((*unit.files, file) if unit else (file,), names)
    return [*found, *open_units.values()]


def load(connection: duckdb.DuckDBPyConnection, unit: Unit, *, relation: str, findings: list[Finding]) -> list[str]:
    """Make `relation` of a unit's rows; returns the names of the files' own columns.

    Raises `DatasetError` for a file that is torn, or adds to `findings` where the others of the unit can be read.
    """
    drop(connection, relation)
    if unit.is_json:
        columns, torn_files = load_json(connection, unit.files, relation=relation)
        findings += torn_files
        return columns
    try:
        if unit.files[0].format == "parquet":
            return load_parquet(connection, unit.files[0], relation=relation)
        findings += load_delimited(connection, unit.files, names=unit.names, relation=relation)
        return list(unit.names)
    except duckdb.OutOfMemoryException:
        raise
    except duckdb.Error as error:
        raise torn(unit.files[0], error) from error


def drop(connection: duckdb.DuckDBPyConnection, relation: str) -> None:
    """Drop a relation, where there is one: a view over a Parquet file, a table over any other; OR REPLACE does not cross kinds."""
    known = connection.execute("SELECT table_type FROM information_schema.tables WHERE table_name = ?", [relation]).fetchall()
    for (kind,) in known:
        connection.execute(f"DROP {'VIEW' if kind == 'VIEW' else 'TABLE'} {identifier(relation)}")


def _names(connection: duckdb.DuckDBPyConnection, file: LandingFile, findings: list[Finding]) -> tuple[str, ...] | None:
    try:
        return tuple(column_names(connection, file))
    except DatasetError as error:
        findings += error.findings
    except duckdb.Error as error:
        findings += torn(file, error).findings
    return None
