"""Delimited text in: DuckDB's strict parser first, our own where a file has broken lines.

DuckDB's lenient mode drops characters and swallows lines after a stray quote, so
it is not used. A file that is not strictly csv is read again record by record:
each broken line costs itself and no other.
"""

import csv
import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain, islice

import duckdb
import pyarrow as pa

from ml.errors import DatasetError, Finding
from ml.intake.files import LandingFile
from ml.intake.hidden import BROKEN, FILE, INVALID_TEXT, LINE, ROW, unique_names
from ml.intake.session import identifier, literal
from ml.intake.text import decoded_lines, is_clean, is_well_formed, mended, unreadable

# Encodings DuckDB decodes itself; the others go record by record.
DUCKDB_ENCODINGS = {"utf-8": "utf-8", "iso8859-1": "latin-1"}
MAX_LINES_PER_RECORD = 200
RECORDS_PER_BATCH = 50_000


@dataclass(frozen=True)
class Record:
    """One row of the file: its fields, or why there are none; `text` is what the file says."""

    text: str
    fields: list[str] | None
    broken: str | None


def column_names(connection: duckdb.DuckDBPyConnection, file: LandingFile) -> list[str]:
    """The columns of a file, given or by its header line. Raises `DatasetError` where there is none to read."""
    if not file.options.header:
        return unique_names(file.options.names)
    if file.is_remote:
        return unique_names(column[0] for column in connection.execute(f"SELECT * FROM {_remote_csv(file)} LIMIT 0").description)
    header = next((line for line in chain.from_iterable(decoded_lines(file)) if line.strip()), None)
    if header is None:
        raise unreadable(file, "is empty: not even a header line", "write the header line, or take the file away")
    if not is_clean(header):
        raise unreadable(file, f"its header line is not {file.options.encoding}", "set encoding: to the file's own (latin-1, gb18030, ...)")
    return unique_names(Splitter(file).split(header) or header.split(file.delimiter))


def load_delimited(
    connection: duckdb.DuckDBPyConnection, files: Sequence[LandingFile], *, names: Sequence[str], relation: str
) -> list[Finding]:
    """Make `relation` of the rows of `files`, which share the columns `names`, all of them text.

    Returns findings about files that are torn; the others are there whole.
    """
    hidden = f"{FILE} VARCHAR, {ROW} BIGINT, {BROKEN} VARCHAR, {LINE} VARCHAR"
    connection.execute(f"CREATE TEMP TABLE {identifier(relation)} ({hidden}, {', '.join(f'{identifier(name)} VARCHAR' for name in names)})")
    findings: list[Finding] = []
    for file in files:
        try:
            if file.is_remote:
                # Strictly or not at all: what DuckDB alone can reach is not read a second time.
                _append(connection, file, _remote_csv(file), relation)
            elif not (is_well_formed(file) and _append_strictly(connection, file, names, relation)):
                _append_by_record(connection, file, names, relation)
        except DatasetError as error:
            findings += error.findings
    return findings


def _append(connection: duckdb.DuckDBPyConnection, file: LandingFile, rows: str, relation: str) -> None:
    connection.execute(f"INSERT INTO {identifier(relation)} SELECT {literal(file.name)}, row_number() OVER (), NULL, NULL, * FROM {rows}")


def _append_strictly(connection: duckdb.DuckDBPyConnection, file: LandingFile, names: Sequence[str], relation: str) -> bool:
    if file.options.encoding not in DUCKDB_ENCODINGS:
        return False
    columns = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in names)
    encoding = literal(DUCKDB_ENCODINGS[file.options.encoding])
    rows = f"read_csv({literal(file.location)}, auto_detect = false, columns = {{{columns}}}, encoding = {encoding}, {_csv_options(file)})"
    try:
        _append(connection, file, rows, relation)
    except duckdb.InvalidInputException:
        return False
    return True


def _remote_csv(file: LandingFile) -> str:
    names = "" if file.options.header else f", names = [{', '.join(literal(name) for name in file.options.names)}]"
    return f"read_csv({literal(file.location)}, all_varchar = true{names}, {_csv_options(file)})"


def _csv_options(file: LandingFile) -> str:
    quote = literal(file.options.quote)
    header = str(file.options.header).lower()
    return f"strict_mode = true, header = {header}, delim = {literal(file.delimiter)}, quote = {quote}, escape = {quote}"


def _append_by_record(connection: duckdb.DuckDBPyConnection, file: LandingFile, names: Sequence[str], relation: str) -> None:
    schema = pa.schema([(FILE, pa.string()), (ROW, pa.int64()), (BROKEN, pa.string()), (LINE, pa.string())])
    for name in names:
        schema = schema.append(pa.field(name, pa.string()))
    connection.register("landing_records", pa.RecordBatchReader.from_batches(schema, _batches(file, names, schema)))
    connection.execute(f"INSERT INTO {identifier(relation)} SELECT * FROM landing_records")
    connection.unregister("landing_records")


def _batches(file: LandingFile, names: Sequence[str], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    found = records(chain.from_iterable(decoded_lines(file)), splitter=Splitter(file), width=len(names))
    if file.options.header:
        next(found, None)
    first_row = 1
    while batch := list(islice(found, RECORDS_PER_BATCH)):
        no_fields: list[str | None] = [None] * len(names)
        columns: list[list[str | None]] = [list(column) for column in zip(*(record.fields or no_fields for record in batch), strict=True)]
        place = [[file.name] * len(batch), list(range(first_row, first_row + len(batch)))]
        marks = [[record.broken for record in batch], [record.text if record.broken else None for record in batch]]
        # An empty field is no value, as in DuckDB's reader.
        values = [[value or None for value in column] for column in columns]
        arrays = [pa.array(column, field.type) for column, field in zip([*place, *marks, *values], schema, strict=True)]
        yield pa.RecordBatch.from_arrays(arrays, schema=schema)
        first_row += len(batch)


class Splitter:
    """Splits one record's text into fields, strictly (RFC 4180) or literally."""

    def __init__(self, file: LandingFile) -> None:
        self.delimiter = file.delimiter
        self.quote = file.options.quote
        delimiter, quote = re.escape(self.delimiter), re.escape(self.quote)
        # Possessive repeats: an unclosed quote fails at once instead of being tried from every position.
        quoted = f"{quote}((?:[^{quote}]++|{quote}{quote})*+){quote}" if quote else "(?!)()"
        plain = f"{f'(?!{quote})' if quote else ''}((?:(?!{delimiter})[^\n])*+)"
        self._field = re.compile(f"(?:{quoted}|{plain})({delimiter}|\\Z)")

    def split(self, text: str) -> list[str] | None:
        """Fields of a well-quoted record; None where the quoting is broken."""
        if not self.quote or self.quote not in text:
            return text.split(self.delimiter)
        # The csv module is faster, but knows no long delimiter, no long field, and takes a lone carriage return for a line's end.
        if len(self.delimiter) == 1 and "\r" not in text:
            with suppress(csv.Error):
                return next(csv.reader((text,), delimiter=self.delimiter, quotechar=self.quote, strict=True))
        return self._split_slowly(text)

    def _split_slowly(self, text: str) -> list[str] | None:
        fields, position = [], 0
        while found := self._field.match(text, position):
            quoted, plain, end = found.groups()
            fields.append(plain if quoted is None else quoted.replace(self.quote * 2, self.quote))
            position = found.end()
            if not end:
                return fields
        return None

    def split_literally(self, text: str) -> list[str]:
        """Fields with quotes taken as letters."""
        return text.split(self.delimiter)


def records(lines: Iterable[str], *, splitter: Splitter, width: int | None) -> Iterator[Record]:
    """Records of `width` fields: the shortest run of lines that is well quoted, else the first line alone.

    A single line whose quoting is broken but whose delimiters are right counts as literal text. Blank lines are skipped.
    """
    ahead: deque[str] = deque()
    source = iter(lines)
    while (line := _next(ahead, source)) is not None:
        if not line.strip():
            continue
        fields = splitter.split(line)
        text = line
        if fields is None:
            text, fields = _joined(line, ahead, source, splitter, width)
        fields = splitter.split_literally(text) if fields is None else fields
        yield _record(text, fields, width)


def _joined(line: str, ahead: deque[str], source: Iterator[str], splitter: Splitter, width: int | None) -> tuple[str, list[str] | None]:
    taken: list[str] = []
    text = line
    while len(taken) < MAX_LINES_PER_RECORD and (following := _next(ahead, source)) is not None:
        taken.append(following)
        text = f"{text}\n{following}"
        if splitter.quote in following and (fields := splitter.split(text)) is not None and (width is None or len(fields) == width):
            return text, fields
    ahead.extendleft(reversed(taken))
    return line, None


def _next(ahead: deque[str], source: Iterator[str]) -> str | None:
    return ahead.popleft() if ahead else next(source, None)


def _record(text: str, fields: list[str], width: int | None) -> Record:
    if width is not None and len(fields) == width + 1 and not fields[-1]:
        fields = fields[:width]
    if not is_clean(text):
        return Record(mended(text), None, INVALID_TEXT)
    if width is not None and len(fields) != width:
        return Record(text, None, f"has {len(fields)} field(s) where {width} belong")
    return Record(text, fields, None)
