"""Parquet in: DuckDB reads it in place; text that is no UTF-8 is marked row by row.

DuckDB refuses a whole file for one such value, so that file is copied through
Arrow, which lets the value be looked at.
"""

from collections.abc import Iterator

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ml.intake.files import LandingFile
from ml.intake.hidden import BROKEN, FILE, INVALID_TEXT, LINE, ROW
from ml.intake.session import identifier, literal


def load_parquet(connection: duckdb.DuckDBPyConnection, file: LandingFile, *, relation: str) -> list[str]:
    """Make `relation` of a Parquet file's rows; returns its column names. Raises `duckdb.Error` where it is torn."""
    connection.execute(
        f"CREATE OR REPLACE TEMP VIEW {identifier(relation)} AS"
        f" SELECT {literal(file.name)} AS {FILE}, file_row_number + 1 AS {ROW}, NULL::VARCHAR AS {BROKEN}, NULL::VARCHAR AS {LINE}, *"
        f" FROM read_parquet({literal(file.location)})"
    )
    return [column[0] for column in connection.execute(f"SELECT * FROM read_parquet({literal(file.location)}) LIMIT 0").description]


def copy_with_marks(connection: duckdb.DuckDBPyConnection, file: LandingFile, *, relation: str) -> None:
    """Make `relation` as `load_parquet`, with rows whose text is no UTF-8 marked broken and their bytes replaced."""
    source = pq.ParquetFile(file.location)
    schema = pa.schema([(FILE, pa.string()), (ROW, pa.int64()), (BROKEN, pa.string()), (LINE, pa.string()), *source.schema_arrow])
    connection.register("landing_batches", pa.RecordBatchReader.from_batches(schema, _marked(source, file, schema)))
    connection.execute(f"DROP VIEW IF EXISTS {identifier(relation)}")
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {identifier(relation)} AS SELECT * FROM landing_batches")
    connection.unregister("landing_batches")


def _marked(source: pq.ParquetFile, file: LandingFile, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    first_row = 1
    for batch in source.iter_batches():
        is_broken = pa.array([False] * batch.num_rows)
        columns = []
        for column in batch.columns:
            text, is_replaced = _decoded(column)
            columns.append(text)
            is_broken = pc.or_(is_broken, is_replaced)
        rows = pa.array(range(first_row, first_row + batch.num_rows), pa.int64())
        names = pa.array([file.name] * batch.num_rows, pa.string())
        broken = pc.if_else(is_broken, pa.scalar(INVALID_TEXT), pa.scalar(None, pa.string()))
        yield pa.RecordBatch.from_arrays([names, rows, broken, pa.nulls(batch.num_rows, pa.string()), *columns], schema=schema)
        first_row += batch.num_rows


def _decoded(column: pa.Array) -> tuple[pa.Array, pa.Array]:
    """A column with bad bytes replaced, and where that was so; only text is looked at."""
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return column, pa.array([False] * len(column))
    given = column.cast(pa.large_binary())
    texts = [None if value is None else value.decode("utf-8", errors="replace") for value in given.to_pylist()]
    decoded = pa.array(texts, column.type)
    return decoded, pc.fill_null(pc.not_equal(decoded.cast(pa.large_binary()), given), False)
