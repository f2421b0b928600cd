"""The Dagster instance in the home folder, so that the UI shows what the command line ran."""

import os
import shutil
from pathlib import Path

import dagster as dg

SETTINGS = Path(__file__).with_name("dagster.yaml")


def prepare_instance(home: Path) -> Path:
    """Make `DAGSTER_HOME` (default `<home>/dagster`) ready and name it in the environment; returns it."""
    folder = Path(os.environ.setdefault("DAGSTER_HOME", str(home / "dagster")))
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / SETTINGS.name).exists():
        shutil.copyfile(SETTINGS, folder / SETTINGS.name)
    return folder


def open_instance(home: Path) -> dg.DagsterInstance:
    """The instance of the home folder."""
    prepare_instance(home)
    return dg.DagsterInstance.get()
