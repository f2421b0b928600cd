"""How a mapping's SQL becomes contract values without one row stopping the others.

An expression that fails on a row gives that row a mark, not an error: it is
evaluated as `TRY([expression])`, which is null only where it failed.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ml.intake.hidden import BROKEN, FILE, ROW
from ml.intake.mapping import KINDS, Kind, expression_sql
from ml.intake.rules import Rule
from ml.intake.schema import SOURCE_RELATION, Source
from ml.intake.session import identifier

BARE = re.compile(r'\(\s*([A-Za-z_]\w*|"[^"]+")\s*\)')
BLANKS = "' ' || chr(9) || chr(10) || chr(13) || chr(160) || chr(12288)"
TEXTS = {"VARCHAR", "JSON"}
# SQL types an expression of each kind may give.
TYPES: dict[Kind, re.Pattern[str]] = {
    "text": re.compile(r"(?!STRUCT|MAP|UNION)(?!.*\[\d*\]$).*"),
    "number": re.compile(r'U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|FLOAT|DOUBLE|DECIMAL.*|BOOLEAN|VARCHAR|JSON|"NULL"'),
    "time": re.compile(r'VARCHAR|JSON|DATE|TIMESTAMP.*|"NULL"'),
    "list": re.compile(r'.*\[\d*\]|VARCHAR|JSON|"NULL"'),
    "object": re.compile(r'STRUCT.*|MAP.*|VARCHAR|JSON|"NULL"'),
}
SQL_TYPES: dict[Kind, str] = {"text": "VARCHAR", "number": "DOUBLE", "time": "TIMESTAMPTZ", "list": "VARCHAR[]", "object": "VARCHAR"}
# Outside lie the placeholders of other systems (0001-01-01, infinity), and what Python cannot hold.
EARLIEST, LATEST = "TIMESTAMPTZ '1900-01-01 00:00:00+00'", "TIMESTAMPTZ '9999-12-30 00:00:00+00'"
# Numbers that DuckDB writes into JSON and JSON does not know.
NOT_FINITE = r"([:\[,]\s*)-?(NaN|nan|Infinity|inf)\b"


@dataclass(frozen=True)
class ColumnSql:
    """A contract column in three steps, so that nothing is computed twice.

    `raw` over the file; `parsed` over `raw`; `value` and `bad` over both.
    """

    name: str
    raw: str
    parsed: str
    value: str
    bad: str


def conversion(table: str, source: Source, *, types: Mapping[str, str], rules: Sequence[Rule], unit: int) -> str:
    """The statement that types the rows of the view `source` and marks each with the rules it breaks, one bit a rule.

    Takes the parameter `$now` where a rule names it.
    """
    columns = [_column_sql(name, kind, source, types.get(name, "VARCHAR")) for name, kind in KINDS[table].items()]
    raw = ", ".join(f"{column.raw} AS {identifier(f'raw_{column.name}')}" for column in columns)
    parsed = ", ".join(f"{column.parsed} AS {identifier(f'parsed_{column.name}')}" for column in columns)
    values = ", ".join(f"{column.value} AS {identifier(column.name)}" for column in columns)
    marks = ", ".join(f"coalesce({column.bad}, false) AS {identifier(f'bad_{column.name}')}" for column in columns)
    # Where the condition itself fails, the row is neither in nor out: a rule names it.
    condition = "[true]" if source.where is None else f"TRY([coalesce((({source.where}\n))::BOOLEAN, false)])"
    title = " REPLACE (coalesce(title, item_id) AS title)" if table == "items" and "title" not in source.columns else ""
    bits = " + ".join(f"CASE WHEN {rule.condition} THEN {1 << bit}::UBIGINT ELSE 0::UBIGINT END" for bit, rule in enumerate(rules))
    names = ", ".join(identifier(name) for name in KINDS[table])
    return (
        f"INSERT INTO landed_{table} BY NAME WITH"
        f" raw AS (SELECT {SOURCE_RELATION}.{FILE} AS source_file, {SOURCE_RELATION}.{ROW} AS source_row, {condition} AS condition, {raw}"
        f" FROM {SOURCE_RELATION} {source.join or ''} WHERE {SOURCE_RELATION}.{BROKEN} IS NULL),"
        f" parsed AS (SELECT *, {parsed} FROM raw WHERE condition IS NULL OR condition[1]),"
        f" typed AS (SELECT source_file, source_row, condition IS NULL AS bad_where, {values}, {marks} FROM parsed),"
        f" titled AS (SELECT *{title} FROM typed)"
        f" SELECT {names}, source_file, source_row, {unit} AS unit, {bits} AS failures FROM titled"
    )


def _column_sql(name: str, kind: Kind, source: Source, sql_type: str) -> ColumnSql:
    if name not in source.columns:
        empty = "[]" if kind == "list" else "NULL"
        return ColumnSql(name, "NULL", "NULL", f"{empty}::{SQL_TYPES[kind]}", "false")
    expression = expression_sql(source.columns[name])
    is_bare = BARE.fullmatch(expression) is not None
    raw = identifier(f"raw_{name}") if is_bare else f"{identifier(f'raw_{name}')}[1]"
    parsed, value, is_given = _steps(raw, identifier(f"parsed_{name}"), kind, sql_type)
    failed = "false" if is_bare else f"{identifier(f'raw_{name}')} IS NULL"
    # Text and lists take whatever there is; the others may hold something that is no value of their kind.
    bad = failed if kind in {"text", "list"} else f"{failed} OR (({value}) IS NULL AND {is_given})"
    return ColumnSql(name, expression if is_bare else f"TRY([{expression}])", parsed, value, bad)


def _steps(raw: str, parsed: str, kind: Kind, sql_type: str) -> tuple[str, str, str]:
    """SQL that parses `raw`, of the value over `parsed`, and of whether the file gives anything at all."""
    text = f"({raw} ->> '$')" if sql_type == "JSON" else f"CAST({raw} AS VARCHAR)"
    is_given = f"coalesce(trim({text}, {BLANKS}), '') <> ''"
    plain = f"trim({text}, {BLANKS})" if sql_type in TEXTS else raw
    if kind == "text":
        return text, f"CASE WHEN trim({parsed}, {BLANKS}) <> '' THEN {parsed} END", is_given
    if kind == "number":
        return f"TRY_CAST({plain} AS DOUBLE)", f"CASE WHEN isfinite({parsed}) THEN {parsed} END", is_given
    if kind == "time":
        return f"TRY_CAST({plain} AS TIMESTAMPTZ)", f"CASE WHEN {parsed} BETWEEN {EARLIEST} AND {LATEST} THEN {parsed} END", is_given
    if kind == "list":
        return _list(raw, text, sql_type), f"coalesce(list_filter({parsed}, lambda entry: trim(entry, {BLANKS}) <> ''), [])", is_given
    return _object(raw, text, sql_type), parsed, is_given


def _list(raw: str, text: str, sql_type: str) -> str:
    if sql_type not in TEXTS:
        return f"CAST({raw} AS VARCHAR[])"
    json = f"CASE WHEN json_valid({text}) THEN {text} END"
    return f"CASE WHEN json_type({json}) = 'ARRAY' THEN CAST(({json})::JSON AS VARCHAR[]) WHEN {text} IS NOT NULL THEN [{text}] END"


def _object(raw: str, text: str, sql_type: str) -> str:
    if sql_type in TEXTS:
        return f"CASE WHEN json_type(CASE WHEN json_valid({text}) THEN {text} END) = 'OBJECT' THEN {text} END"
    finite = f"regexp_replace(to_json({raw})::VARCHAR, '{NOT_FINITE}', '\\1null', 'g')"
    # A merge patch drops the keys whose value is null.
    return f"CASE WHEN {raw} IS NOT NULL THEN json_merge_patch('{{}}', {finite})::VARCHAR END"
