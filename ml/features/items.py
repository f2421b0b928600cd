"""Item features: popularity of the last 28 days, named interests, vector and neighbours, one row per item.

Every item known at `as_of` has a row, also one nobody has met and one the release
has never seen (its vector and neighbours are empty lists).
Shapes: I items with a row, J items of the release, D its dimension.
"""

from datetime import datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ml.contracts.contract import TIMESTAMP
from ml.contracts.outputs import ITEM_FEATURES
from ml.features.grouping import lists_by, sum_by, vectors_by
from ml.features.interests import named_interests
from ml.features.release import check_release
from ml.features.window import check_days_known, recent
from ml.ids import FloatArray, IntArray, Vocabulary


def build_item_features(
    items: pa.Table,
    *,
    item_popularity_daily: pa.Table,
    item_interests: pa.Table,
    interest_points: pa.Table,
    similar_items: pa.Table,
    release_items: Vocabulary,
    item_vectors_JD: FloatArray,
    release_id: str,
    as_of: datetime,
    created_at: datetime,
    max_interests: int,
) -> pa.Table:
    """The `item_features` table as of `as_of`, sorted by item.

    `items` is the snapshot of the day, `item_popularity_daily` a history that
    covers at least the last 28 days. Raises `LeakageError` for days at or after
    `as_of`, `ReleaseError` for neighbours of another release, `UnknownIdError`
    for rows of an item that `items` does not hold.
    """
    check_days_known(item_popularity_daily, name="item_popularity_daily", as_of=as_of)
    check_release(similar_items, name="similar_items", release_id=release_id)
    items = items.sort_by("item_id")
    known = Vocabulary("item", items.column("item_id"))
    names, weights = named_interests(item_interests, key="item_id", order=known, interest_points=interest_points, limit=max_interests)
    num_users_I, weight_I = _recent_popularity(item_popularity_daily, items=known, as_of=as_of)
    features = pa.table(
        {
            "item_id": known.ids,
            "event_timestamp": pa.repeat(pa.scalar(as_of, TIMESTAMP), len(known)),
            "created_timestamp": pa.repeat(pa.scalar(created_at, TIMESTAMP), len(known)),
            "release_id": pa.repeat(release_id, len(known)),
            "title": items.column("title"),
            "category": pc.fill_null(items.column("category"), ""),
            "interest_names": names,
            "interest_weights": weights,
            "num_users_28d": num_users_I,
            "total_weight_28d": weight_I,
            "popularity_rank": _rank(num_users_I, weight_I),
            "embedding": vectors_by(known, known=release_items, vectors_ND=item_vectors_JD),
            "similar_item_ids": _neighbours(similar_items, items=known),
        }
    )
    return ITEM_FEATURES.conform(features)


def _recent_popularity(item_popularity_daily: pa.Table, *, items: Vocabulary, as_of: datetime) -> tuple[IntArray, npt.NDArray[np.float64]]:
    """User-days and signed weight of the window, both shape [I]."""
    rows = recent(item_popularity_daily, as_of=as_of)
    # Sorted so that floating sums do not depend on the order of the rows.
    rows = rows.sort_by([("item_id", "ascending"), ("day", "ascending")])
    num_users_N = np.asarray(rows.column("num_users").combine_chunks(), dtype=np.int64)
    weight_N = np.asarray(rows.column("total_weight").combine_chunks(), dtype=np.float64)
    keys = rows.column("item_id")
    return sum_by(keys, num_users_N, order=items).astype(np.int64), sum_by(keys, weight_N, order=items)


def popularity_ranks(item_popularity_daily: pa.Table, *, items: Vocabulary, as_of: datetime) -> IntArray:
    """1 for the item most users met in the window; ties by weight, then by id, so that every rank is given once. Shape [I]."""
    return _rank(*_recent_popularity(item_popularity_daily, items=items, as_of=as_of))


def _rank(num_users_I: IntArray, weight_I: npt.NDArray[np.float64]) -> IntArray:
    """1 for the item most users met; ties by weight, then by id, so that every rank is given once."""
    best_first = np.lexsort((np.arange(len(num_users_I)), -weight_I, -num_users_I))
    rank_I = np.empty(len(num_users_I), dtype=np.int64)
    rank_I[best_first] = np.arange(1, len(num_users_I) + 1)
    return rank_I


def _neighbours(similar_items: pa.Table, *, items: Vocabulary) -> pa.Array:
    """Nearest items first, a list per item."""
    closest = similar_items.sort_by([("item_id", "ascending"), ("rank", "ascending")])
    return lists_by(items.positions(closest.column("item_id")), closest.column("similar_item_id"), num_keys=len(items))
