"""Feast's SQLite online store, replaced whole in one transaction.

Readers see the old rows until the commit and the new ones after it, never a mix,
also when the writer is killed; WAL keeps them from waiting. The tables are Feast's
own, so its SDK and server read them as they are.
"""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import pyarrow as pa
from feast import FeatureView
from feast.infra.key_encoding_utils import serialize_entity_key
from feast.infra.online_stores.helpers import compute_table_id, extract_text_and_num
from feast.infra.online_stores.sqlite import adapt_datetime_epoch
from feast.utils import to_naive_utc

from feature_repo.online import Done, Row, batches
from feature_repo.publication import Publication

BUSY_SECONDS = 30.0


class SqliteOnline:
    """One dataset's SQLite file."""

    def __init__(self, path: Path, *, project: str) -> None:
        self._path = path
        self._project = project

    def publication(self) -> Publication | None:
        """What the file holds, or None."""
        with self._connection() as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS publication (project TEXT PRIMARY KEY, content TEXT NOT NULL)")
            found = connection.execute("SELECT content FROM publication WHERE project = ?", (self._project,)).fetchone()
        return Publication.from_json(found[0]) if found else None

    def replace(
        self, tables: Mapping[str, pa.Table], *, views: Sequence[FeatureView], publication: Publication, done: Done
    ) -> dict[str, int]:
        """Make each view hold exactly its table's rows, all views in one transaction; returns entities removed per view."""
        with self._connection() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                removed = {view.name: self._replace_view(connection, tables[view.name], view=view, done=done) for view in views}
                content = (self._project, publication.finished().to_json())
                connection.execute("INSERT OR REPLACE INTO publication (project, content) VALUES (?, ?)", content)
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return removed

    def num_rows(self, view: FeatureView) -> int:
        """Entities that have values of this view."""
        with self._connection() as connection:
            found: int = connection.execute(f"SELECT count(DISTINCT entity_key) FROM {self._table(view)}").fetchone()[0]
        return found

    def _replace_view(self, connection: sqlite3.Connection, table: pa.Table, *, view: FeatureView, done: Done) -> int:
        name = self._table(view)
        connection.execute("DROP TABLE IF EXISTS temp.before")
        connection.execute(f"CREATE TEMP TABLE before AS SELECT DISTINCT entity_key FROM {name}")
        connection.execute(f"DELETE FROM {name}")
        for rows in batches(table, view=view):
            connection.executemany(
                f"INSERT INTO {name} (entity_key, feature_name, value, value_text, event_ts, created_ts) VALUES (?, ?, ?, ?, ?, ?)",
                _values(rows),
            )
            done.add(len(rows))
        self._guard(connection, view)
        gone: int = connection.execute(
            f"SELECT count(*) FROM temp.before WHERE entity_key NOT IN (SELECT entity_key FROM {name})"
        ).fetchone()[0]
        return gone

    def _guard(self, connection: sqlite3.Connection, view: FeatureView) -> None:
        """Keep anybody's upsert, Feast's own materialize too, from writing an older value over a newer one."""
        connection.execute(
            f"CREATE TRIGGER IF NOT EXISTS {self._table(view, '_never_back')} BEFORE UPDATE ON {self._table(view)} "
            "WHEN NEW.event_ts < OLD.event_ts BEGIN SELECT RAISE(IGNORE); END"
        )

    def _table(self, view: FeatureView, suffix: str = "") -> str:
        return f'"{compute_table_id(self._project, view)}{suffix}"'

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(self._path, timeout=BUSY_SECONDS, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            yield connection


def _values(rows: Sequence[Row]) -> Iterator[tuple[bytes, str, bytes, str | None, int, int | None]]:
    for entity, features, event_at, created_at in rows:
        key = serialize_entity_key(entity, entity_key_serialization_version=3)
        moment = adapt_datetime_epoch(to_naive_utc(event_at))
        created = adapt_datetime_epoch(to_naive_utc(created_at)) if created_at is not None else None
        for feature, value in features.items():
            text, _ = extract_text_and_num(value, False)
            yield key, feature, value.SerializeToString(), text, moment, created
