"""Rows that break the contract, kept as the file has them with reason and mend.

Works on the relations that `ml.intake.landing` makes; a row gets one line per
reason, so that everything wrong with it is said at once.
"""

from collections.abc import Sequence
from datetime import datetime

import duckdb

from ml.intake.conversion import NOT_FINITE
from ml.intake.hidden import BROKEN, FILE, INVALID_TEXT, LINE, NOT_AN_OBJECT, ROW
from ml.intake.rules import LINE_COLUMN, Rule, broken_line_mend
from ml.intake.schema import SOURCE_RELATION
from ml.intake.session import identifier, literal


def reject_broken(connection: duckdb.DuckDBPyConnection, table: str, *, relation: str, columns: Sequence[str], unit: int) -> None:
    """Copy the rows of `relation` that could not be taken apart to `rejected` as of `unit`; `columns` are the file's own."""
    mends = " ".join(f"WHEN {literal(reason)} THEN {literal(broken_line_mend(reason))}" for reason in (INVALID_TEXT, NOT_AN_OBJECT))
    as_it_stands = f"CASE WHEN {LINE} IS NULL THEN {_row_json(columns, relation)} ELSE json_object('line', {LINE})::VARCHAR END"
    connection.execute(
        f"INSERT INTO rejected SELECT {literal(table)}, {FILE}, {ROW}, {literal(LINE_COLUMN)}, {BROKEN},"
        f" CASE {BROKEN} {mends} ELSE {literal(broken_line_mend(''))} END, {as_it_stands}, NULL, {unit}"
        f" FROM {identifier(relation)} WHERE {BROKEN} IS NOT NULL"
    )


def reject_failures(
    connection: duckdb.DuckDBPyConnection, table: str, *, rules: Sequence[Rule], columns: Sequence[str], unit: int, now: datetime
) -> None:
    """Copy the rows landed as `unit` that break a rule to `rejected`, one row per reason; `columns` are the file's own."""
    bad = f"(SELECT * FROM landed_{table} WHERE failures > 0 AND unit = {unit})"
    if not connection.execute(f"SELECT 1 FROM {bad} LIMIT 1").fetchall():
        return
    same_row = f"{SOURCE_RELATION}.{FILE} = bad.source_file AND {SOURCE_RELATION}.{ROW} = bad.source_row"
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE bad_rows AS SELECT bad.*, {_row_json(columns, SOURCE_RELATION)} AS row_json"
        f" FROM {bad} AS bad JOIN {SOURCE_RELATION} ON {same_row}"
    )
    # A time that is unreadable or in the future says nothing about the day the row belongs to.
    event_at = "CASE WHEN event_at <= $now THEN event_at END" if table == "events" else "NULL"
    given = {"now": now} if table == "events" else {}
    for bit, rule in enumerate(rules):
        connection.execute(
            f"INSERT INTO rejected SELECT {literal(table)}, source_file, source_row, {literal(rule.column)}, {rule.reason},"
            f" {literal(rule.mend)}, row_json, {event_at}, {unit} FROM bad_rows WHERE failures & {1 << bit}::UBIGINT <> 0",
            given,
        )


def _row_json(columns: Sequence[str], relation: str) -> str:
    """SQL of a row as the file has it, as JSON; a row with a number that JSON does not know is kept as text."""
    of = identifier(relation)
    pairs = ", ".join(f"{literal(name)}, {of}.{identifier(name)}" for name in columns)
    given = f"coalesce({of}.{LINE}, json_object({pairs})::VARCHAR)"
    return f"CASE WHEN regexp_matches({given}, '{NOT_FINITE}') THEN json_object('line', {given})::VARCHAR ELSE {given} END"
