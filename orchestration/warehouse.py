"""The warehouse file as what it is: a cache of the raw Parquet that may be thrown away at any time.

Opened by dbt alone; asked here, in a process of its own, whether it can be read at
all. One that cannot is set aside under another name, never deleted, and dbt builds
a new one from the raw partitions.
"""

import subprocess
import sys
from pathlib import Path

# A crash of the reader is an answer too, so it does not run in this process. Every block is read: opening alone reads few.
_PROBE = """
import sys, duckdb
try:
    connection = duckdb.connect(sys.argv[1])
    for schema, name in connection.execute(
        "SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = current_database()"
    ).fetchall():
        if sys.argv[2] == "deep":
            connection.execute(f'SELECT count(*), bit_xor(hash(t)) FROM "{schema}"."{name}" AS t').fetchall()
    connection.close()
except duckdb.IOException as error:
    if "Could not set lock" in str(error):
        sys.exit(0)
    sys.stderr.write(str(error))
    sys.exit(1)
except duckdb.Error as error:
    sys.stderr.write(str(error))
    sys.exit(1)
"""


def damage(warehouse: Path, *, deep: bool = False) -> str | None:
    """What makes the file unreadable; None where it is whole, absent, or in use. `deep` reads every row."""
    if not warehouse.exists():
        return None
    command = [sys.executable, "-c", _PROBE, str(warehouse), "deep" if deep else "open"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  our own command
    if done.returncode == 0:
        return None
    return done.stderr.strip().splitlines()[0] if done.stderr.strip() else f"its reader ended with {done.returncode}"


def set_aside(warehouse: Path) -> Path:
    """Rename the file and its log out of the way; returns the new name."""
    number = 1 + sum(1 for _ in warehouse.parent.glob(f"{warehouse.name}.broken-*[0-9]"))
    aside = warehouse.with_name(f"{warehouse.name}.broken-{number}")
    warehouse.replace(aside)
    log = warehouse.with_name(f"{warehouse.name}.wal")
    if log.exists():
        log.replace(aside.with_name(f"{aside.name}.wal"))
    return aside
