"""The rows of a generation in SQLite: one file in the generation's folder, written before anybody reads it.

No reader ever waits for a writer, so neither WAL nor a busy timeout is needed; removing
the folder removes the rows, and whoever has the file open reads on.
"""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from feast import FeatureView
from feast.infra.online_stores.helpers import compute_table_id
from feast.repo_config import RepoConfig

from ml.contracts.files import sync_file
from ml.errors import PublishError


class SqliteRows:
    """One generation's SQLite file."""

    def __init__(self, config: RepoConfig) -> None:
        self._path = Path(config.online_store.path)
        self._project = config.project

    def check(self) -> None:
        """Nothing to ask: the file is made when it is written."""

    def num_rows(self, view: FeatureView) -> int:
        """Entities that have values of this view; raises `PublishError` where the file is gone or broken."""
        try:
            with closing(sqlite3.connect(f"{self._path.as_uri()}?mode=ro", uri=True)) as connection:
                found: int = connection.execute(f"SELECT count(DISTINCT entity_key) FROM {self._table(view)}").fetchone()[0]
        except sqlite3.Error as error:
            raise PublishError(f"{view.name}: {self._path} cannot be read ({error}); publish again") from error
        return found

    def seal(self, views: Sequence[FeatureView]) -> None:
        """Keep anybody's upsert, Feast's own materialize too, from writing an older value over a newer one; then sync the file."""
        with closing(sqlite3.connect(self._path, isolation_level=None)) as connection:
            for view in views:
                connection.execute(
                    f"CREATE TRIGGER {self._table(view, '_never_back')} BEFORE UPDATE ON {self._table(view)} "
                    "WHEN NEW.event_ts < OLD.event_ts BEGIN SELECT RAISE(IGNORE); END"
                )
        sync_file(self._path)

    def remove(self) -> None:
        """Remove the file."""
        self._path.unlink(missing_ok=True)

    def _table(self, view: FeatureView, suffix: str = "") -> str:
        return f'"{compute_table_id(self._project, view)}{suffix}"'
