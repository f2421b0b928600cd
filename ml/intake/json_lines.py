"""JSON in: one object a line, or one array of objects.

Every scalar column is text, as in csv, so that one odd row cannot change a
column's type; a column that mostly holds lists or objects is JSON.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

import duckdb
import pyarrow as pa

from ml.errors import DatasetError, Finding
from ml.intake.files import LandingFile
from ml.intake.hidden import BROKEN, FILE, INVALID_TEXT, LINE, NOT_AN_OBJECT, ROW, unique_names
from ml.intake.session import identifier, literal
from ml.intake.text import decoded_lines, decoded_pieces, is_clean, is_well_formed, mended, torn

# Lines of each file looked at to tell text columns from JSON columns; the majority of all files decides.
SAMPLE_ROWS = 10_000
MAX_OBJECT_BYTES = 1 << 24


@dataclass(frozen=True)
class KeyCount:
    """A key that objects of a file have, and of its first lines how many give it a value, how many a list or an object."""

    key: str
    num_given: int
    num_nested: int


class Column(NamedTuple):
    """A key of the objects, the name of its column, and whether that is JSON."""

    key: str
    name: str
    is_nested: bool


Shape = tuple[Column, ...]


def load_json(connection: duckdb.DuckDBPyConnection, files: Sequence[LandingFile], *, relation: str) -> tuple[list[str], list[Finding]]:
    """Make `relation` of the objects of all `files`, whose keys together are the columns.

    Returns the column names, and findings about files that are torn; the others are there whole.
    """
    lines = f"{relation}_lines"
    make_lines(connection, lines)
    findings = append_lines(connection, files, lines=lines)
    shape = shape_of(count_keys(connection, lines).values())
    spread(connection, lines, relation=relation, shape=shape)
    return [column.name for column in shape], findings


def make_lines(connection: duckdb.DuckDBPyConnection, lines: str) -> None:
    """Make the empty table `lines`, which holds a row per line before its keys become columns."""
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {lines} ({FILE} VARCHAR, {ROW} BIGINT, {BROKEN} VARCHAR, {LINE} VARCHAR)")


def append_lines(connection: duckdb.DuckDBPyConnection, files: Sequence[LandingFile], *, lines: str) -> list[Finding]:
    """Append the lines of `files`, those marked that are no object; returns findings about files that are torn."""
    findings: list[Finding] = []
    for file in files:
        try:
            _append(connection, file, lines)
        except DatasetError as error:
            findings += error.findings
    # The inner case keeps json_type() from ever seeing what is no JSON.
    is_object = f"json_type(CASE WHEN json_valid({LINE}) THEN {LINE} END) = 'OBJECT'"
    connection.execute(f"UPDATE {lines} SET {BROKEN} = {literal(NOT_AN_OBJECT)} WHERE {BROKEN} IS NULL AND {is_object} IS NOT TRUE")
    return findings


def count_keys(connection: duckdb.DuckDBPyConnection, lines: str) -> dict[str, list[KeyCount]]:
    """The keys of each file's objects, by the file's name; a file without objects is not there."""
    pointer = "'/' || replace(replace(key, '~', '~0'), '/', '~1')"
    rows = connection.execute(
        f"WITH keyed AS (SELECT {FILE}, {ROW}, {LINE}, unnest(json_keys({LINE})) AS key FROM {lines} WHERE {BROKEN} IS NULL),"
        f" typed AS (SELECT {FILE}, key, CASE WHEN {ROW} <= {SAMPLE_ROWS} THEN json_type({LINE}, {pointer}) END AS type FROM keyed)"
        f" SELECT {FILE}, key, count(*) FILTER (type <> 'NULL'), count(*) FILTER (type IN ('ARRAY', 'OBJECT')) FROM typed"
        f" GROUP BY {FILE}, key ORDER BY {FILE}, key"
    ).fetchall()
    found: dict[str, list[KeyCount]] = {}
    for name, *count in rows:
        found.setdefault(name, []).append(KeyCount(*count))
    return found


def shape_of(counts: Iterable[Sequence[KeyCount]]) -> Shape:
    """The columns of all files together, sorted by key; a key is JSON where most of its values are lists or objects."""
    given: Counter[str] = Counter()
    nested: Counter[str] = Counter()
    for count in chain.from_iterable(counts):
        given[count.key] += count.num_given
        nested[count.key] += count.num_nested
    keys = sorted(given)
    return tuple(Column(key, name, 2 * nested[key] > given[key]) for key, name in zip(keys, unique_names(keys), strict=True))


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


def spread(connection: duckdb.DuckDBPyConnection, lines: str, *, relation: str, shape: Shape) -> None:
    """Make `relation` of `lines`, one column per key of the objects; `lines` goes."""
    paths = "[" + ", ".join(literal(_pointer(column.key)) for column in shape) + "]::VARCHAR[]"
    selected = [
        f", {'fragments' if column.is_nested else 'texts'}[{place}] AS {identifier(column.name)}" for place, column in enumerate(shape, 1)
    ]
    valid = f"CASE WHEN {BROKEN} IS NULL THEN {LINE} END"
    fragments = f", json_extract({valid}, {paths}) AS fragments" if any(column.is_nested for column in shape) else ""
    texts = f", json_extract_string({valid}, {paths}) AS texts" if shape else ""
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE {identifier(relation)} AS SELECT {FILE}, {ROW}, {BROKEN}, {LINE}{''.join(selected)}"
        f" FROM (SELECT *{texts}{fragments} FROM {lines})"
    )
    connection.execute(f"DROP TABLE {lines}")


def _pointer(key: str) -> str:
    return "/" + key.replace("~", "~0").replace("/", "~1")
