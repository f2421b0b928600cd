"""Reviews and interactions as literal rows, and a crowd whose users are plainly honest."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa

from ml.contracts.behaviour import INTERACTIONS, REVIEWS

START = datetime(2026, 1, 1, tzinfo=UTC)
AS_OF = datetime(2026, 7, 1, tzinfo=UTC)

Interaction = tuple[str, str, float, float]
Review = tuple[str, str, str, str, float | None, float, float]


def at(days: float) -> datetime:
    return START + timedelta(days=days)


def interactions(rows: list[Interaction]) -> pa.Table:
    """Rows (user, item, weight, day number)."""
    return INTERACTIONS.conform(
        pa.Table.from_pylist(
            [
                {
                    "day": at(day).date(),
                    "user_id": user,
                    "item_id": item,
                    "weight": weight,
                    "num_events": 1,
                    "first_event_at": at(day),
                    "last_event_at": at(day),
                }
                for user, item, weight, day in rows
            ],
            schema=INTERACTIONS.schema,
        )
    )


def reviews(rows: list[Review]) -> pa.Table:
    """Rows (event, user, item, text, stars, weight, day number)."""
    names = ("event_id", "user_id", "item_id", "text", "value", "weight")
    return REVIEWS.conform(
        pa.Table.from_pylist(
            [dict(zip(names, row, strict=False)) | {"day": at(row[-1]).date(), "event_at": at(row[-1])} for row in rows],
            schema=REVIEWS.schema,
        )
    )


def crowd(*, num_users: int = 60, seed: int = 5) -> list[Interaction]:
    """Two tastes, 40 items each; users rate 15 of their own near the items' worth, at their own times."""
    rng = np.random.default_rng(seed)
    worth = rng.choice([-2.0, -1.0, 1.0, 2.0], size=80)
    rows = []
    for user in range(num_users):
        for item in rng.choice(40, 15, replace=False) + 40 * (user % 2):
            weight = float(worth[item] + rng.choice([-0.5, 0.0, 0.5]))
            rows += [(f"u{user:03}", f"i{item:02}", weight, float(rng.uniform(0, 175)))]
    return rows
