"""The Dagster instance in the home folder, so that the UI shows what the command line ran."""

import fcntl
import os
from pathlib import Path

import dagster as dg

from ml.contracts.files import write_text

NAME = "dagster.yaml"
EMBEDDED = Path(__file__).with_name(NAME)
POSTGRES = Path(__file__).with_name("dagster-postgres.yaml")
POSTGRES_URL = "DAGSTER_POSTGRES_URL"


def prepare_instance(home: Path) -> Path:
    """Make `DAGSTER_HOME` (default `<home>/dagster`) ready and name it in the environment; returns it.

    What lies there stays; a new one is kept in SQLite files, or in Postgres where `DAGSTER_POSTGRES_URL` is set.
    """
    folder = Path(os.environ.setdefault("DAGSTER_HOME", str(home / "dagster")))
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / NAME).exists():
        # Whole or absent: another process may be reading it already.
        write_text((POSTGRES if os.environ.get(POSTGRES_URL) else EMBEDDED).read_text(encoding="utf-8"), folder / NAME)
    return folder


def open_instance(home: Path) -> dg.DagsterInstance:
    """The instance of the home folder; processes open it one after another, because the first one makes its SQLite tables."""
    folder = prepare_instance(home)
    with (folder / "opening.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        return dg.DagsterInstance.get()
