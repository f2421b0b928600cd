"""What a source's mapping may and must hold, and whether its SQL can be read.

Everything here is known from the dataset file alone; what only the landing
files can tell (missing columns, types) is `ml.intake.binding`.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, Literal

import duckdb

from ml.contracts.behaviour import RAW_EVENTS, RAW_ITEMS, RAW_KNOWLEDGE, RAW_USERS
from ml.contracts.contract import FLOAT, STRINGS, TIMESTAMP, Column, TableContract
from ml.errors import Finding
from ml.intake.schema import Dataset, Source
from ml.intake.session import first_line, identifier, literal
from ml.intake.suggest import closest, listing

Kind = Literal["text", "number", "time", "list", "object"]
RAW_CONTRACTS: dict[str, TableContract] = {"events": RAW_EVENTS, "items": RAW_ITEMS, "users": RAW_USERS, "knowledge": RAW_KNOWLEDGE}
# What no mapping gives: where a row stands, and what the landing as a whole says of it.
OUR_COLUMNS = ("source_file", "source_row", "is_superseded")
REQUIRED: dict[str, tuple[str, ...]] = {
    "events": ("user_id", "event_type", "event_at"),
    "items": ("item_id",),
    "users": ("user_id",),
    "knowledge": ("head", "relation", "tail"),
}


def _kind(column: Column) -> Kind:
    if column.name == "attributes":
        return "object"
    kinds: dict[object, Kind] = {FLOAT: "number", TIMESTAMP: "time", STRINGS: "list"}
    return kinds.get(column.dtype, "text")


# Contract column to kind, per table, in the contract's order.
KINDS: dict[str, dict[str, Kind]] = {
    table: {column.name: _kind(column) for column in contract.columns if column.name not in OUR_COLUMNS}
    for table, contract in RAW_CONTRACTS.items()
}


def expression_sql(expression: str | dict[str, str]) -> str:
    """One SQL expression of a mapping; a map of attributes becomes a struct."""
    if isinstance(expression, str):
        return f"({expression}\n)"
    fields = ", ".join(f"{identifier(name)} := ({part}\n)" for name, part in expression.items())
    return f"struct_pack({fields})"


def check_dataset(dataset: Dataset) -> list[Finding]:
    """Every finding about mappings and weights that needs no landing file."""
    with duckdb.connect(":memory:") as connection:
        findings = [
            finding
            for table in RAW_CONTRACTS
            for number, source in enumerate(dataset.tables.of(table))
            for finding in _check_source(connection, table, source, f"{dataset.path.name} tables.{table}[{number}]")
        ]
        return [*findings, *_check_weights(connection, dataset), *_check_epochs(dataset)]


def _check_source(connection: duckdb.DuckDBPyConnection, table: str, source: Source, where: str) -> Iterator[Finding]:
    known = KINDS[table]
    for name, expression in source.columns.items():
        place = f"{where}.columns.{name}"
        if name not in known:
            mend = f"columns of {table}: {listing(known)}{closest(name, known)}"
            yield Finding(place, f"{table} has no column {name!r}", mend)
        yield from _check_expression(connection, place, name, expression)
    for name in REQUIRED[table]:
        if name not in source.columns:
            yield Finding(f"{where}.columns", f"{name} is not mapped; found {listing(source.columns)}", f"add {name}: <SQL expression>")
    if table == "events" and not {"item_id", "text"} & source.columns.keys():
        yield Finding(f"{where}.columns", "neither item_id nor text is mapped", "an event is about an item, or carries words, or both")
    if source.where is not None and (error := _parse_error(connection, source.where)):
        yield Finding(f"{where}.where", f"not one SQL condition: {error}", "write a DuckDB expression over the file's columns")
    if source.join is not None and (error := _join_error(connection, source.join)):
        yield Finding(f"{where}.join", f"not a SQL join: {error}", "write e.g. left join <lookup> on <lookup>.id = source.id")
    if source.lookups and source.join is None:
        yield Finding(f"{where}.lookups", "lookups without a join are read by nobody", "add join: left join <lookup> on ..., or drop them")


def _check_expression(connection: duckdb.DuckDBPyConnection, place: str, name: str, expression: str | dict[str, str]) -> Iterator[Finding]:
    if isinstance(expression, dict) and (name != "attributes" or not expression):
        yield Finding(
            place, "a map of expressions stands here", "only attributes takes a map, and it needs an entry; write one SQL expression"
        )
        return
    parts = {"": expression} if isinstance(expression, str) else {f".{key}": part for key, part in expression.items()}
    for suffix, part in parts.items():
        if error := _parse_error(connection, part):
            mend = f"mend `{part}`; text constants need quotes: \"'rating'\""
            if part.isidentifier():
                mend = f"{part} is a word of SQL; for the column of that name write '\"{part}\"'"
            yield Finding(f"{place}{suffix}", f"not one SQL expression: {error}", mend)


def _check_weights(connection: duckdb.DuckDBPyConnection, dataset: Dataset) -> Iterator[Finding]:
    for event_type, weight in dataset.weights.items():
        place = f"{dataset.path.name} weights.{event_type}"
        mend = 'write a number, or SQL over value such as "value - 3.0"'
        if wrong := _parse_error(connection, weight):
            yield Finding(place, f"not one SQL expression: {wrong}", mend)
            continue
        try:
            connection.execute(f"SELECT TRY(CAST(({weight}\n) AS DOUBLE)) FROM (SELECT NULL::DOUBLE AS value) LIMIT 0")
        except duckdb.Error as error:
            yield Finding(place, f"`{weight}` does not hold: {first_line(error)}", mend)


def _check_epochs(dataset: Dataset) -> Iterator[Finding]:
    # epoch_ms() and make_timestamp() give UTC without saying so, which would then be read in the dataset's zone.
    for table, kinds in KINDS.items():
        for number, source in enumerate(dataset.tables.of(table)):
            for name, expression in source.columns.items():
                if dataset.timezone == "UTC" or kinds.get(name) != "time" or not isinstance(expression, str):
                    continue
                if found := re.search(r"\b(epoch_ms|make_timestamp\w*)\s*\(", expression):
                    place = f"{dataset.path.name} tables.{table}[{number}].columns.{name}"
                    what = f"{found[1]}() gives UTC without a zone, which would be read as {dataset.timezone}"
                    yield Finding(place, what, "write to_timestamp(<seconds>), for milliseconds to_timestamp(<milliseconds> / 1000.0)")


def _parse_error(connection: duckdb.DuckDBPyConnection, expression: str) -> str | None:
    # Two statements or two select items would let an expression end the query around it.
    parsed = _parsed(connection, f"SELECT ({expression}\n)")
    if parsed["error"]:
        return str(parsed["error_message"])
    node = parsed["statements"][0]["node"]
    is_one = len(parsed["statements"]) == 1 and len(node.get("select_list", ())) == 1 and node["from_table"]["type"] == "EMPTY"
    return None if is_one else "it is more than one expression"


def _join_error(connection: duckdb.DuckDBPyConnection, join: str) -> str | None:
    parsed = _parsed(connection, f"SELECT 1 FROM source {join}\n")
    if parsed["error"]:
        return str(parsed["error_message"])
    node = parsed["statements"][0]["node"]
    is_join = len(parsed["statements"]) == 1 and node["from_table"]["type"] == "JOIN" and node["where_clause"] is None
    return None if is_join else "it is not only joins"


def _parsed(connection: duckdb.DuckDBPyConnection, statement: str) -> dict[str, Any]:
    row = connection.execute(f"SELECT json_serialize_sql({literal(statement)})").fetchall()[0]
    parsed: dict[str, Any] = json.loads(row[0])
    return parsed
