"""What one event is worth by a dataset's weights, for whoever holds events and no warehouse.

The same SQL that `transforms` sums, asked of DuckDB one event at a time and remembered.
"""

import math
import threading
from collections.abc import Mapping
from functools import lru_cache

import duckdb

# Distinct (type, value) pairs remembered; most events have no value, most ratings one of ten.
MAX_REMEMBERED = 10_000


class EventWorth:
    """Weights as a function; may be asked from any thread."""

    def __init__(self, weights: Mapping[str, str]) -> None:
        self._weights = weights
        self._connection = duckdb.connect(":memory:", config={"threads": 1})
        self._one_at_a_time = threading.Lock()
        self._remembered = lru_cache(MAX_REMEMBERED)(self._evaluate)

    def __call__(self, event_type: str, value: float | None) -> float:
        """The signed worth of an event.

        Raises `ValueError` for a type without weight, and where the weight gives no finite number for this value.
        """
        if event_type not in self._weights:
            raise ValueError(f"event type {event_type!r} has no weight; there are: {', '.join(self._weights)}")
        worth = self._remembered(event_type, value)
        if worth is None or not math.isfinite(worth):
            raise ValueError(
                f"the weight `{self._weights[event_type]}` of {event_type} gives no number for value {value}; "
                "send a value it can take, or mend weights in the dataset file"
            )
        return worth

    def _evaluate(self, event_type: str, value: float | None) -> float | None:
        statement = f"SELECT TRY(CAST(({self._weights[event_type]}\n) AS DOUBLE)) FROM (SELECT $1::DOUBLE AS value)"
        with self._one_at_a_time:
            worth: float | None = self._connection.execute(statement, [value]).fetchall()[0][0]
        return worth
