"""The DuckDB connection landing files are read with, and quoting for its SQL.

In memory, within the profile's limits, spilling to a folder that goes with it;
nothing is downloaded and nothing is drawn.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import duckdb

from ml.config.pipeline import IntakeConfig


@contextmanager
def open_session(config: IntakeConfig, *, timezone: str = "UTC") -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection that reads timestamps without a zone in `timezone`; closed and cleaned up at the end."""
    with tempfile.TemporaryDirectory(prefix="interest-graph-", dir=config.temp_directory) as spill:
        settings: dict[str, str | bool | int | float | list[str]] = {
            "memory_limit": config.memory_limit,
            "threads": config.threads,
            "temp_directory": spill,
            "autoinstall_known_extensions": False,
            # It lifts a shared subexpression out of TRY(), where its error then stops the whole query (DuckDB 2.0).
            "disabled_optimizers": "common_subexpressions",
        }
        connection = duckdb.connect(":memory:", config=settings)
        try:
            connection.execute("SET enable_progress_bar = false")
            connection.execute(f"SET TimeZone = {literal(timezone)}")
            yield connection
        finally:
            connection.close()


def identifier(name: str) -> str:
    """A name as a quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str | None) -> str:
    """A text as a SQL literal."""
    return "NULL" if text is None else "'" + text.replace("'", "''") + "'"


def first_line(error: Exception) -> str:
    """The first line of an error's own words; DuckDB's others show the SQL we made."""
    return str(error).strip().partition("\n")[0]
