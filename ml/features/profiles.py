"""User profiles: named interests, activity and the release's user vector, one row per user.

Everybody with any event before `as_of` has a profile, also those who only
searched; what the release does not know of them is an empty list, never an absent row.
Shapes: U users with a profile, V users of the release, D its dimension.
"""

from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ml.contracts.contract import TIMESTAMP, check_no_leakage
from ml.contracts.outputs import USER_PROFILES
from ml.features.grouping import count_by, max_by, sum_by, vectors_by
from ml.features.interests import named_interests
from ml.features.window import recent
from ml.ids import FloatArray, IntArray, Vocabulary

MICROSECONDS_PER_DAY = 86_400_000_000


def build_user_profiles(
    user_activity_daily: pa.Table,
    *,
    interactions: pa.Table,
    user_interests: pa.Table,
    interest_points: pa.Table,
    release_users: Vocabulary,
    user_vectors_VD: FloatArray,
    release_id: str,
    as_of: datetime,
    created_at: datetime,
    max_interests: int,
    cold_user_interactions: int,
) -> pa.Table:
    """The `user_profiles` table as of `as_of`, sorted by user.

    The first two tables are whole histories. A user with fewer than
    `cold_user_interactions` liked user-item-days is a cold start. Raises
    `LeakageError` for rows at or after `as_of`, `UnknownIdError` for interests of
    a user without events or of a point that does not exist.
    """
    check_no_leakage(user_activity_daily, name="user_activity_daily", column="last_event_at", as_of=as_of)
    check_no_leakage(interactions, name="interactions", column="last_event_at", as_of=as_of)
    users = Vocabulary("user", _stacked("user_id", user_activity_daily, interactions))
    liked = interactions.filter(pc.greater(interactions.column("weight"), 0.0))
    names, weights = named_interests(user_interests, key="user_id", order=users, interest_points=interest_points, limit=max_interests)
    disliked, _ = named_interests(user_interests, key="user_id", order=users, interest_points=interest_points, limit=max_interests, sign=-1)
    recent_names, recent_weights = named_interests(
        user_interests, key="user_id", weight="recent_weight", order=users, interest_points=interest_points, limit=max_interests
    )
    profiles = pa.table(
        {
            "user_id": users.ids,
            "event_timestamp": pa.repeat(pa.scalar(as_of, TIMESTAMP), len(users)),
            "created_timestamp": pa.repeat(pa.scalar(created_at, TIMESTAMP), len(users)),
            "release_id": pa.repeat(release_id, len(users)),
            "interest_names": names,
            "interest_weights": weights,
            "recent_interest_names": recent_names,
            "recent_interest_weights": recent_weights,
            "disliked_names": disliked,
            "num_interactions": count_by(interactions.column("user_id"), order=users),
            "num_interactions_28d": count_by(recent(interactions, as_of=as_of).column("user_id"), order=users),
            "num_sessions_28d": _recent_sessions(user_activity_daily, users=users, as_of=as_of),
            "days_since_last_event": _days_since_last_event(user_activity_daily, interactions=interactions, users=users, as_of=as_of),
            "is_cold_start": count_by(liked.column("user_id"), order=users) < cold_user_interactions,
            "embedding": vectors_by(users, known=release_users, vectors_ND=user_vectors_VD),
        }
    )
    return USER_PROFILES.conform(profiles)


def _stacked(column: str, *tables: pa.Table) -> pa.ChunkedArray:
    return pa.concat_tables([table.select([column]) for table in tables]).column(column)


def _recent_sessions(user_activity_daily: pa.Table, *, users: Vocabulary, as_of: datetime) -> IntArray:
    rows = recent(user_activity_daily, as_of=as_of)
    sessions_N = np.asarray(rows.column("num_sessions").combine_chunks(), dtype=np.int64)
    return sum_by(rows.column("user_id"), sessions_N, order=users).astype(np.int64)


def _days_since_last_event(user_activity_daily: pa.Table, *, interactions: pa.Table, users: Vocabulary, as_of: datetime) -> IntArray:
    """Whole days from the last event to `as_of`, shape [U]."""
    tables = (user_activity_daily, interactions)
    moments = _stacked("last_event_at", *tables).cast(TIMESTAMP).cast(pa.int64())
    moments_N = np.asarray(moments.combine_chunks(), dtype=np.int64)
    last_U = max_by(_stacked("user_id", *tables), moments_N, order=users, absent=0)
    end: int = pa.scalar(as_of, TIMESTAMP).cast(pa.int64()).as_py()
    return (end - last_U) // MICROSECONDS_PER_DAY
