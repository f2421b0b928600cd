"""Recommendation lists: a user's whole ranked list with titles and reasons in one row."""

from datetime import datetime

import pyarrow as pa

from ml.contracts.contract import TIMESTAMP
from ml.contracts.outputs import RECOMMENDATION_LISTS
from ml.features.grouping import lists_by
from ml.features.release import check_release
from ml.ids import Vocabulary


def build_recommendation_lists(
    recommendations: pa.Table,
    *,
    users: Vocabulary,
    items: pa.Table,
    release_id: str,
    as_of: datetime,
    created_at: datetime,
) -> pa.Table:
    """The `recommendation_lists` table as of `as_of`: one row for each of `users` and sorted by them.

    A user for whom nothing was left to recommend has empty lists. Raises
    `ReleaseError` for rows of another release, `UnknownIdError` for a user
    outside `users` or an item that `items` (the day's snapshot) does not hold.
    """
    check_release(recommendations, name="recommendations", release_id=release_id)
    ranked = recommendations.sort_by([("user_id", "ascending"), ("rank", "ascending")])
    keys_N = users.positions(ranked.column("user_id"))

    def lists(values: pa.ChunkedArray | pa.Array) -> pa.Array:
        return lists_by(keys_N, values, num_keys=len(users))

    table = pa.table(
        {
            "user_id": users.ids,
            "event_timestamp": pa.repeat(pa.scalar(as_of, TIMESTAMP), len(users)),
            "created_timestamp": pa.repeat(pa.scalar(created_at, TIMESTAMP), len(users)),
            "release_id": pa.repeat(release_id, len(users)),
            "item_ids": lists(ranked.column("item_id")),
            "titles": lists(_titles(ranked.column("item_id"), items=items)),
            "scores": lists(ranked.column("score")),
            "reasons": lists(ranked.column("reason")),
        }
    )
    return RECOMMENDATION_LISTS.conform(table)


def _titles(item_ids: pa.ChunkedArray, *, items: pa.Table) -> pa.Array:
    catalogue = items.select(["item_id", "title"]).sort_by("item_id")
    known = Vocabulary("item", catalogue.column("item_id"))
    return catalogue.column("title").combine_chunks().take(pa.array(known.positions(item_ids)))
