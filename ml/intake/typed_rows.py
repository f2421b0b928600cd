"""One unit's rows on their way from the file's columns to the contract's: bound, typed, checked, kept out.

Works on the relation `landing_raw`; what it holds and who keeps the result is
`ml.intake.landing`.
"""

from datetime import datetime

import duckdb

from ml.errors import DatasetError, Finding
from ml.intake.binding import bind
from ml.intake.conversion import conversion
from ml.intake.hidden import FILE, ROW
from ml.intake.parquet import copy_with_marks
from ml.intake.rejection import reject_broken, reject_failures
from ml.intake.rules import rules
from ml.intake.schema import SOURCE_RELATION, Dataset, Source
from ml.intake.session import first_line
from ml.intake.text import torn
from ml.intake.units import Unit

RAW = "landing_raw"


def type_rows(
    connection: duckdb.DuckDBPyConnection,
    unit: Unit,
    *,
    columns: list[str],
    number: int,
    dataset: Dataset,
    table: str,
    source: Source,
    now: datetime,
) -> tuple[list[Finding], list[Finding]]:
    """Insert the rows of `landing_raw` into `landed_<table>` and `rejected` as unit `number`.

    `columns` are the files' own. Returns findings, with which no row is landed, and hints.
    """
    if unit.is_json and not columns:
        reject_broken(connection, table, relation=RAW, columns=columns, unit=number)
        return [], []
    binding = bind(connection, table=table, source=source, relation=RAW, columns=columns, file=unit.label, is_json=unit.is_json)
    hints = [
        Finding(unit.label, f"no row has {name!r}, which the mapping names", "check its spelling, or drop it from the mapping")
        for name in sorted(binding.absent)
    ]
    if binding.findings:
        return binding.findings, hints
    checks = rules(dataset, table, source)
    try:
        if source.join is not None:
            _check_join(connection, source, unit.label)
        _convert(connection, conversion(table, source, types=binding.types, rules=checks, unit=number), unit, now=now)
    except DatasetError as error:
        return list(error.findings), hints
    reject_broken(connection, table, relation=RAW, columns=columns, unit=number)
    reject_failures(connection, table, rules=checks, columns=columns, unit=number, now=now)
    return [], hints


def _check_join(connection: duckdb.DuckDBPyConnection, source: Source, label: str) -> None:
    kept = f"(SELECT {SOURCE_RELATION}.{FILE}, {SOURCE_RELATION}.{ROW} FROM {SOURCE_RELATION} {source.join})"
    try:
        made, distinct, given = connection.execute(
            f"SELECT count(*), count(DISTINCT ({FILE}, {ROW})), (SELECT count(*) FROM {SOURCE_RELATION}) FROM {kept}"
        ).fetchall()[0]
    except duckdb.Error as error:
        finding = Finding(f"{label} join", f"cannot be made: {first_line(error)}", "mend the join, or the files it reads")
        raise DatasetError(label, [finding]) from error
    if not made == distinct == given:
        what = f"makes {made:,} rows of {given:,}; {given - distinct:,} row(s) are lost"
        raise DatasetError(label, [Finding(f"{label} join", what, "use left join, and group each lookup so that it has one row per key")])


def _convert(connection: duckdb.DuckDBPyConnection, statement: str, unit: Unit, *, now: datetime) -> None:
    file = unit.files[0]
    given = {"now": now} if "$now" in statement else {}
    try:
        connection.execute(statement, given)
    except duckdb.OutOfMemoryException:
        raise
    except duckdb.Error as error:
        if "not valid UTF8" not in str(error) or file.format != "parquet" or file.is_remote:
            raise torn(file, error) from error
        copy_with_marks(connection, file, relation=RAW)
        connection.execute(statement, given)
