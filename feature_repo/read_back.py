"""Whether a generation answers what it was made from, asked before it goes live.

Counts, and a spread sample of rows value by value, through Feast's own reader.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from feast import FeatureStore, FeatureView

from feature_repo.online import OnlineRows
from ml.errors import PublishError

NUM_CHECKED = 1000
TOLERANCE = 1e-6


def read_back(store: FeatureStore, tables: Mapping[str, pa.Table], *, rows: OnlineRows, views: Sequence[FeatureView]) -> int:
    """Compare every view with its table; returns the rows compared. Raises `PublishError` naming view and features that differ."""
    num_checked = 0
    for view in views:
        table = tables[view.name]
        num_rows = rows.num_rows(view)
        if num_rows != table.num_rows:
            raise PublishError(f"{view.name}: {num_rows} entities online, {table.num_rows} published; publish again")
        spread = np.linspace(0, table.num_rows - 1, min(table.num_rows, NUM_CHECKED)).astype(np.int64)
        _compare(store, table.take(pa.array(spread)), view=view)
        num_checked += len(spread)
    return num_checked


def _compare(store: FeatureStore, sample: pa.Table, *, view: FeatureView) -> None:
    if sample.num_rows == 0:
        return
    (join_key,) = view.join_keys
    features = [feature.name for feature in view.features]
    entities = [{join_key: identifier} for identifier in sample.column(join_key).to_pylist()]
    try:
        found = store.get_online_features([f"{view.name}:{feature}" for feature in features], entities).to_dict()
    except ValueError as error:  # Feast's word for a view it will not serve
        raise PublishError(f"{view.name} cannot be read ({error}); publish again") from error
    wrong = [feature for feature in features if not _equal(found[feature], sample.column(feature).to_pylist())]
    if wrong:
        raise PublishError(f"{view.name}: {', '.join(wrong)} read back differently from what was published; publish again")


def _equal(found: Any, expected: Any) -> bool:
    """Whether values are the same, numbers to `TOLERANCE`, lists entry by entry."""
    if found == expected:
        return True
    if isinstance(found, list) and isinstance(expected, list):
        return len(found) == len(expected) and all(map(_equal, found, expected))
    if isinstance(found, float) and isinstance(expected, float):
        return bool(np.isclose(found, expected, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True))
    return False
