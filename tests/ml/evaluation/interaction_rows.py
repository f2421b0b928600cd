"""Short-hand for `interactions` tables in tests."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pyarrow as pa

from ml.contracts.behaviour import INTERACTIONS

DAY_ZERO = datetime(2026, 1, 1, tzinfo=UTC)


def at(days: float) -> datetime:
    """The instant `days` after the first of January 2026."""
    return DAY_ZERO + timedelta(days=days)


def interactions(rows: Sequence[tuple[str, str, float, float]]) -> pa.Table:
    """Rows of (user, item, weight, days after `DAY_ZERO`), one event each."""
    return INTERACTIONS.conform(
        pa.table(
            {
                "day": pa.array([at(days).date() for *_, days in rows], pa.date32()),
                "user_id": pa.array([user for user, *_ in rows], pa.string()),
                "item_id": pa.array([item for _, item, *_ in rows], pa.string()),
                "weight": pa.array([weight for *_, weight, _ in rows], pa.float64()),
                "num_events": pa.array([1] * len(rows), pa.int64()),
                "first_event_at": pa.array([at(days) for *_, days in rows], pa.timestamp("us", tz="UTC")),
                "last_event_at": pa.array([at(days) for *_, days in rows], pa.timestamp("us", tz="UTC")),
            }
        )
    )
