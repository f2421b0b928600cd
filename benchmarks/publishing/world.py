"""Feature tables to publish, day after day, that say in every row which day they are of."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ml.config import DatasetHome
from ml.contracts.outputs import ITEM_FEATURES, RECOMMENDATION_LISTS, USER_PROFILES
from ml.contracts.store import TableStore
from ml.days import as_of

FIRST = date(2026, 3, 1)
NUM_ASKED = 10
DIMENSIONS = 32


@dataclass(frozen=True)
class Size:
    """How much is published how often."""

    num_users: int
    num_items: int
    num_publishes: int
    num_materialized: int
    num_kills: int


@dataclass(frozen=True)
class World:
    """A home whose every day says of every user that they had as many interactions as the day's number."""

    home: DatasetHome
    size: Size

    @property
    def asked(self) -> list[str]:
        """Users spread over the whole table."""
        return [f"u{number:06d}" for number in np.linspace(0, self.size.num_users - 1, NUM_ASKED).astype(int)]

    def write(self, number: int) -> date:
        """Write the feature tables of a day; returns it."""
        day = FIRST + timedelta(days=number)
        store = TableStore(self.home.tables)
        for contract, table in zip((USER_PROFILES, ITEM_FEATURES, RECOMMENDATION_LISTS), self._tables(day, number), strict=True):
            store.write(contract, pa.Table.from_pylist(table, schema=contract.schema), day=day)
        return day

    def _tables(self, day: date, number: int) -> tuple[list[dict[str, Any]], ...]:
        stamps = {"event_timestamp": as_of(day), "created_timestamp": as_of(day), "release_id": f"r{number}"}
        names, weights = [f"interest {place}" for place in range(10)], [1.0 / (place + 1) for place in range(10)]
        profile = {
            **stamps,
            "interest_names": names,
            "interest_weights": weights,
            "recent_interest_names": names,
            "recent_interest_weights": weights,
            "disliked_names": names[:2],
            "num_interactions": number,
            "num_interactions_28d": number,
            "num_sessions_28d": number,
            "days_since_last_event": 0,
            "is_cold_start": False,
            "embedding": [0.5] * DIMENSIONS,
        }
        item = {
            **stamps,
            "title": "a title",
            "category": "a category",
            "interest_names": names,
            "interest_weights": weights,
            "num_users_28d": number,
            "total_weight_28d": 1.0,
            "popularity_rank": 1,
            "embedding": [0.5] * DIMENSIONS,
            "similar_item_ids": [f"i{place}" for place in range(10)],
        }
        listed = {**stamps, "item_ids": names, "titles": names, "scores": weights, "reasons": names}
        users = [f"u{user:06d}" for user in range(self.size.num_users)]
        return (
            [{"user_id": user, **profile} for user in users],
            [{"item_id": f"i{place:06d}", **item} for place in range(self.size.num_items)],
            [{"user_id": user, **listed} for user in users],
        )


@contextmanager
def new_world(size: Size) -> Iterator[World]:
    """An empty home of its own, gone with the block."""
    with tempfile.TemporaryDirectory() as folder:
        yield World(DatasetHome(Path(folder), "shop"), size)
