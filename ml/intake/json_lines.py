"""JSON in: one object a line, or one array of objects.

Every scalar column is text, as in csv, so that one odd row cannot change a
column's type; a column that mostly holds lists or objects is JSON.
"""

import re
from collections.abc import Iterator, Sequence

import duckdb
import pyarrow as pa

from ml.errors import DatasetError, Finding
from ml.intake.files import LandingFile
from ml.intake.hidden import BROKEN, FILE, INVALID_TEXT, LINE, NOT_AN_OBJECT, ROW, unique_names
from ml.intake.session import identifier, literal
from ml.intake.text import decoded_lines, decoded_pieces, is_clean, is_well_formed, mended, torn

# Rows looked at to tell text columns from JSON columns; the majority decides.
SAMPLE_ROWS = 10_000
MAX_OBJECT_BYTES = 1 << 24


def load_json(connection: duckdb.DuckDBPyConnection, files: Sequence[LandingFile], *, relation: str) -> tuple[list[str], list[Finding]]:
    """Make `relation` of the objects of all `files`, whose keys together are the columns.

    Returns the column names, and findings about files that are torn; the others are there whole.
    """
    lines = f"{relation}_lines"
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {lines} ({FILE} VARCHAR, {ROW} BIGINT, {BROKEN} VARCHAR, {LINE} VARCHAR)")
    findings: list[Finding] = []
    for file in files:
        try:
            _append(connection, file, lines)
        except DatasetError as error:
            findings += error.findings
    # The inner case keeps json_type() from ever seeing what is no JSON.
    is_object = f"json_type(CASE WHEN json_valid({LINE}) THEN {LINE} END) = 'OBJECT'"
    connection.execute(f"UPDATE {lines} SET {BROKEN} = {literal(NOT_AN_OBJECT)} WHERE {BROKEN} IS NULL AND {is_object} IS NOT TRUE")
    return _spread(connection, lines, relation), findings


def _append(connection: duckdb.DuckDBPyConnection, file: LandingFile, lines: str) -> None:
    if file.is_remote:
        source = f"read_json_objects({literal(file.location)}, format = 'auto')"
        rows = f"SELECT {literal(file.name)}, row_number() OVER (), NULL, json::VARCHAR FROM {source}"
    elif is_well_formed(file) and _is_array(file):
        source = f"read_json_objects({literal(file.location)}, format = 'array', maximum_object_size = {MAX_OBJECT_BYTES})"
        rows = f"SELECT {literal(file.name)}, row_number() OVER (), NULL, json::VARCHAR FROM {source}"
    else:
        connection.register("landing_lines", pa.RecordBatchReader.from_batches(_SCHEMA, _batches(file)))
        rows = f"SELECT * FROM landing_lines WHERE regexp_matches({LINE}, '\\S')"
    try:
        connection.execute(f"INSERT INTO {lines} {rows}")
    except duckdb.OutOfMemoryException:
        raise
    except duckdb.Error as error:
        raise torn(file, error) from error


_SCHEMA = pa.schema([(FILE, pa.string()), (ROW, pa.int64()), (BROKEN, pa.string()), (LINE, pa.string())])


def _is_array(file: LandingFile) -> bool:
    start = next((piece.lstrip() for piece in decoded_pieces(file) if piece.strip()), "")
    # A line file may begin with a line that is itself an array: an array of objects is told by what follows the bracket.
    return re.match(r"\[\s*(\{|\]\s*\Z)", start) is not None and ".jsonl" not in file.name and ".ndjson" not in file.name


def _batches(file: LandingFile) -> Iterator[pa.RecordBatch]:
    for lines, last in _counted(decoded_lines(file)):
        broken = [None if is_clean(line) else INVALID_TEXT for line in lines]
        texts = [mended(line) if reason else line for line, reason in zip(lines, broken, strict=True)]
        columns = [[file.name] * len(lines), range(last - len(lines) + 1, last + 1), broken, texts]
        yield pa.RecordBatch.from_arrays(
            [pa.array(column, field.type) for column, field in zip(columns, _SCHEMA, strict=True)], schema=_SCHEMA
        )


def _counted(batches: Iterator[list[str]]) -> Iterator[tuple[list[str], int]]:
    """Batches with the number of their last line."""
    last = 0
    for batch in batches:
        last += len(batch)
        yield batch, last


def _spread(connection: duckdb.DuckDBPyConnection, lines: str, relation: str) -> list[str]:
    """One column per key of the objects."""
    objects = f"(SELECT {LINE} FROM {lines} WHERE {BROKEN} IS NULL)"
    keys = [
        row[0] for row in connection.execute(f"SELECT DISTINCT unnest(json_keys({LINE})) AS key FROM {objects} ORDER BY key").fetchall()
    ]
    nested = _nested_keys(connection, objects)
    names = unique_names(keys)
    paths = "[" + ", ".join(literal(_pointer(key)) for key in keys) + "]::VARCHAR[]"
    selected = [
        f", {'fragments' if key in nested else 'texts'}[{place}] AS {identifier(name)}"
        for place, (key, name) in enumerate(zip(keys, names, strict=True), 1)
    ]
    valid = f"CASE WHEN {BROKEN} IS NULL THEN {LINE} END"
    fragments = f", json_extract({valid}, {paths}) AS fragments" if nested else ""
    texts = f", json_extract_string({valid}, {paths}) AS texts" if keys else ""
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE {identifier(relation)} AS SELECT {FILE}, {ROW}, {BROKEN}, {LINE}{''.join(selected)}"
        f" FROM (SELECT *{texts}{fragments} FROM {lines})"
    )
    connection.execute(f"DROP TABLE {lines}")
    return names


def _nested_keys(connection: duckdb.DuckDBPyConnection, objects: str) -> set[str]:
    rows = connection.execute(
        f"WITH sample AS (SELECT {LINE} FROM {objects} LIMIT {SAMPLE_ROWS}),"
        f" keyed AS (SELECT {LINE}, unnest(json_keys({LINE})) AS key FROM sample),"
        f" typed AS (SELECT key, json_type({LINE}, '/' || replace(replace(key, '~', '~0'), '/', '~1')) AS type FROM keyed)"
        " SELECT key FROM typed WHERE type <> 'NULL' GROUP BY key HAVING 2 * count(*) FILTER (type IN ('ARRAY', 'OBJECT')) > count(*)"
    ).fetchall()
    return {row[0] for row in rows}


def _pointer(key: str) -> str:
    return "/" + key.replace("~", "~0").replace("/", "~1")
