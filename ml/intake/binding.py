"""Whether a mapping fits the columns its landing files really have.

The relation `source` (and the lookups) must exist in the connection; nothing
but their columns is looked at.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import duckdb

from ml.errors import Finding
from ml.intake.conversion import TYPES
from ml.intake.mapping import KINDS, REQUIRED, Kind, expression_sql
from ml.intake.schema import SOURCE_RELATION, Source
from ml.intake.session import first_line, identifier
from ml.intake.suggest import closest, listing

MISSING_COLUMN = re.compile(r'Referenced column "([^"]+)" not found|does not have a column named "([^"]+)"')
MENDS: dict[Kind, str] = {
    "text": "write an expression that gives text, e.g. array_to_string(names, ', ')",
    "number": "write an expression that gives a number, e.g. rating::DOUBLE",
    "time": "for epoch seconds write to_timestamp(seconds), for milliseconds to_timestamp(milliseconds / 1000.0)",
    "list": "write an expression that gives a list, e.g. string_split(genres, '|')",
    "object": "write a map of attribute: <SQL expression>",
}


@dataclass
class Binding:
    """SQL type of each mapped column; what does not fit; keys that no JSON row has."""

    types: dict[str, str] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    absent: set[str] = field(default_factory=set)


def bind(
    connection: duckdb.DuckDBPyConnection, *, table: str, source: Source, relation: str, columns: list[str], file: str, is_json: bool
) -> Binding:
    """Make the view `source` over `relation` and type every expression of the mapping over it.

    A key that no object of a JSON source has is null there unless the contract needs it;
    in any other file a missing column is a finding.
    """
    binder = _Binder(connection, source, relation, columns, file)
    binder.make_view(())
    if source.join is not None and binder.probe("join", "1", is_lenient=False) is None:
        return binder.binding
    for name, expression in source.columns.items():
        is_lenient = is_json and name not in REQUIRED[table]
        if found := binder.probe(f"columns.{name}", f"TRY([{expression_sql(expression)}])[1]", is_lenient=is_lenient):
            binder.check_type(name, KINDS[table][name], found)
    if source.where is not None:
        binder.probe("where", f"TRY([(({source.where}\n))::BOOLEAN])[1]", is_lenient=is_json)
    binder.make_view(sorted(binder.binding.absent))
    return binder.binding


class _Binder:
    def __init__(self, connection: duckdb.DuckDBPyConnection, source: Source, relation: str, columns: list[str], file: str) -> None:
        self.connection = connection
        self.source = source
        self.relation = relation
        self.columns = columns
        self.file = file
        self.binding = Binding()

    def make_view(self, absent: Sequence[str]) -> None:
        nulls = "".join(f", NULL AS {identifier(name)}" for name in absent)
        self.connection.execute(f"CREATE OR REPLACE TEMP VIEW {SOURCE_RELATION} AS SELECT *{nulls} FROM {identifier(self.relation)}")

    def probe(self, place: str, expression: str, *, is_lenient: bool) -> str | None:
        """The expression's SQL type, or None with findings; a missing column is taken as null, so that the next one shows."""
        absent: list[str] = []
        self.make_view(absent)
        while True:
            try:
                cursor = self.connection.execute(f"SELECT {expression} FROM {SOURCE_RELATION} {self.source.join or ''} LIMIT 0")
            except duckdb.Error as error:
                missing = _missing_column(error)
                if missing is None or missing in absent:
                    self.binding.findings.append(Finding(f"{self.file} {place}", f"does not hold: {first_line(error)}", _mend(error)))
                    return None
                absent.append(missing)
                self.make_view(absent)
            else:
                break
        if is_lenient:
            self.binding.absent.update(absent)
        else:
            self.binding.findings += [self._missing(place, column) for column in absent]
        return str(cursor.description[0][1])

    def _missing(self, place: str, column: str) -> Finding:
        what = f"{place} needs column {column!r}, which is not there; found {listing(self.columns)}"
        mend = f"name a column that is there{closest(column, self.columns)}; a constant needs quotes: \"'{column}'\""
        return Finding(self.file, what, mend)

    def check_type(self, name: str, kind: Kind, sql_type: str) -> None:
        self.binding.types[name] = sql_type
        if not TYPES[kind].fullmatch(sql_type):
            names = {"text": "text", "number": "a number", "time": "a time", "list": "a list", "object": "an object"}
            found = Finding(f"{self.file} columns.{name}", f"gives {sql_type}, where {names[kind]} belongs", MENDS[kind])
            self.binding.findings.append(found)


def _missing_column(error: Exception) -> str | None:
    found = MISSING_COLUMN.search(str(error))
    return next((name for name in found.groups() if name), None) if found else None


def _mend(error: Exception) -> str:
    if "No function matches" in str(error) or "type" in str(error).lower():
        return "columns of csv and json are text: cast them first, e.g. rating::DOUBLE, to_timestamp(seconds::DOUBLE)"
    return "write a DuckDB expression over the columns of the file, row by row (no subquery, no aggregate)"
