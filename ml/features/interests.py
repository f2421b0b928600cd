"""Interest ids and weights as the named lists that profiles and item features show."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ml.features.grouping import lists_by, strongest_rows
from ml.ids import Vocabulary


def named_interests(
    interests: pa.Table, *, key: str, order: Vocabulary, interest_points: pa.Table, limit: int, weight: str = "weight", sign: int = 1
) -> tuple[pa.Array, pa.Array]:
    """The `limit` strongest named interests of each id in `order`: (names, weights), lists of equal length, strongest first.

    `interests` is `user_interests` or `item_interests`, `key` its id column, `weight` that
    of the weights. `sign` +1 keeps weights above 0, -1 those below 0 (as magnitudes); ties go by interest id.
    Raises `UnknownIdError` for an interest without a point and for an id outside `order`.
    """
    points = Vocabulary("interest", interest_points.column("interest_id"))
    names = _names(points, interest_points)
    weights_N = sign * _doubles(interests.column(weight))
    kept = np.flatnonzero(weights_N > 0)
    weights_N = weights_N[kept]
    keys_N = order.positions(interests.column(key))[kept]
    points_N = points.positions(interests.column("interest_id"))[kept]
    rows = strongest_rows(keys_N, weights_N, points_N, limit=limit, num_keys=len(order))
    named = names.take(pa.array(points_N[rows]))
    return (
        lists_by(keys_N[rows], named, num_keys=len(order)),
        lists_by(keys_N[rows], pa.array(weights_N[rows], pa.float64()), num_keys=len(order)),
    )


def _names(points: Vocabulary, interest_points: pa.Table) -> pa.Array:
    """Names in the vocabulary's position order."""
    rows = np.argsort(points.positions(interest_points.column("interest_id")), kind="stable")
    return interest_points.column("name").combine_chunks().take(pa.array(rows))


def _doubles(column: pa.ChunkedArray) -> npt.NDArray[np.float64]:
    return np.asarray(column.combine_chunks(), dtype=np.float64)
