"""What a generation's rows need beyond what Feast offers: counting, guarding, removing; and how they are written.

Feast's own `write_to_online_store` writes them. It has no way to count entities, none to
remove a project's rows without those of another whose name ends alike, and its SQLite
store lets an older value replace a newer one. The two stores are `feature_repo.sqlite_online`
and `feature_repo.redis_online`.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

import pyarrow as pa
from feast import FeatureStore, FeatureView
from feast.repo_config import RepoConfig

BATCH_ROWS = 2000
Progress = Callable[[int, int], None]


class OnlineRows(Protocol):
    """The rows of one Feast project in an online store."""

    def check(self) -> None:
        """Raise `PublishError` if the store does not answer."""
        ...

    def num_rows(self, view: FeatureView) -> int:
        """Entities that have values of this view."""
        ...

    def seal(self, views: Sequence[FeatureView]) -> None:
        """Have all rows reach the disk where the store has one, and keep anybody's older value from replacing a newer one."""
        ...

    def remove(self) -> None:
        """Remove every row; again after a kill removes the rest."""
        ...


def online_rows(config: RepoConfig) -> OnlineRows:
    """The rows of a generation's project."""
    if config.online_store.type == "redis":
        from feature_repo.redis_online import RedisRows  # noqa: PLC0415  (a SQLite home needs no redis)

        return RedisRows(config)
    from feature_repo.sqlite_online import SqliteRows  # noqa: PLC0415

    return SqliteRows(config)


class Done:
    """Rows written so far, told to whoever watches."""

    def __init__(self, total: int, progress: Progress | None) -> None:
        self._done = 0
        self._total = total
        self._progress = progress

    def add(self, num_rows: int) -> None:
        """Count `num_rows` more."""
        self._done += num_rows
        if self._progress is not None:
            self._progress(self._done, self._total)


def write_rows(store: FeatureStore, table: pa.Table, *, view: FeatureView, done: Done) -> None:
    """Write a table's rows, `BATCH_ROWS` at a time, so that memory does not grow with the table."""
    for batch in table.to_batches(max_chunksize=BATCH_ROWS):
        if batch.num_rows:
            store.write_to_online_store(view.name, batch.to_pandas())
            done.add(batch.num_rows)
