"""What replacing an online store's content needs, whichever store it is.

The stores themselves are `feature_repo.sqlite_online` and `feature_repo.redis_online`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

import pyarrow as pa
from feast import FeatureView, ValueType
from feast.utils import _convert_arrow_to_proto

from feature_repo.publication import Publication

# (entity key, value of each feature, event time, created time), Feast's own protobuf messages.
Row = tuple[Any, dict[str, Any], datetime, datetime | None]
BATCH_ROWS = 2000
Progress = Callable[[int, int], None]


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


class OnlineStore(Protocol):
    """One dataset's rows in an online store."""

    def publication(self) -> Publication | None:
        """What it holds, or None if nothing was ever published."""
        ...

    def replace(
        self, tables: Mapping[str, pa.Table], *, views: Sequence[FeatureView], publication: Publication, done: Done
    ) -> dict[str, int]:
        """Make each view hold exactly its table's rows; returns entities removed per view. Running it again after a kill completes it."""
        ...

    def num_rows(self, view: FeatureView) -> int:
        """Entities that have values of this view."""
        ...


def batches(table: pa.Table, *, view: FeatureView) -> Iterator[list[Row]]:
    """The table's rows as Feast writes them, `BATCH_ROWS` at a time, so that memory does not grow with the table."""
    for batch in table.to_batches(max_chunksize=BATCH_ROWS):
        if batch.num_rows:
            yield _convert_arrow_to_proto(batch, view, dict.fromkeys(view.join_keys, ValueType.STRING))
