"""How much users like what they met: one signed number per key and horizon, faded by time.

Events of all days come in; `ml.interests.profiles` spreads the numbers over interest
points. Shapes: N events, M keys, H horizons.
"""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ml.contracts.contract import TIMESTAMP
from ml.decay import decay_by_age, decay_factors
from ml.ids import BoolArray, IntArray, Vocabulary

Floats = npt.NDArray[np.float64]

# Likes and dislikes that cancel leave rounding errors, not interests.
ROUNDING = 1e-9


@dataclass(frozen=True)
class Affinities:
    """What events come to, in order of key; instants are UTC microseconds. All of shape [M], `affinity_HM` of [H, M].

    No affinity of the first horizon is 0. `num_rows_M` counts the rows behind each.
    """

    key_M: IntArray
    affinity_HM: Floats
    first_M: IntArray
    last_M: IntArray
    num_rows_M: IntArray

    def __len__(self) -> int:
        return len(self.key_M)

    def take(self, chosen: slice | BoolArray) -> "Affinities":
        """Those of a slice or mask."""
        return Affinities(
            self.key_M[chosen], self.affinity_HM[:, chosen], self.first_M[chosen], self.last_M[chosen], self.num_rows_M[chosen]
        )


def pair_affinities(
    interactions: pa.Table, *, users: Vocabulary, items: Vocabulary, half_lives_days: tuple[float, ...], as_of: datetime
) -> Affinities:
    """Affinity of each user to each item of `items` met, by user x number of items + item; other items are left out."""
    item_N, known_N = items.find(interactions.column("item_id"))
    known = interactions.filter(pa.array(known_N))
    return affinities(
        users.positions(known.column("user_id")) * len(items) + item_N[known_N],
        weight_N=np.asarray(known.column("weight"), dtype=np.float64),
        first_N=microseconds(known.column("first_event_at")),
        last_N=microseconds(known.column("last_event_at")),
        half_lives_days=half_lives_days,
        as_of=as_of,
    )


def affinities(
    key_N: IntArray, *, weight_N: Floats, first_N: IntArray, last_N: IntArray, half_lives_days: tuple[float, ...], as_of: datetime
) -> Affinities:
    """Affinity of each key, a horizon per half-life; keys that cancel in the first horizon are left out.

    sign(x) log1p(|x|), halved every half-life from the key's last event to `as_of`,
    where x is the sum of the key's weights, each halved likewise up to that last event.
    """
    # Every column that sums depend on, so that the order of rows never shows.
    order = np.lexsort((weight_N, last_N, key_N))
    key_N, weight_N, first_N, last_N = key_N[order], weight_N[order], first_N[order], last_N[order]
    starts = np.flatnonzero(np.diff(key_N, prepend=-1))
    if not len(starts):
        return Affinities(key_N, np.zeros((len(half_lives_days), 0)), first_N, last_N, key_N)
    last_M, num_rows_M = np.maximum.reduceat(last_N, starts), np.diff(starts, append=len(key_N))
    age_N = np.repeat(last_M, num_rows_M) - last_N
    net_HM = np.stack([np.add.reduceat(weight_N * decay_by_age(age_N, half_life_days=days), starts) for days in half_lives_days])
    net_HM[np.abs(net_HM) <= ROUNDING] = 0.0
    decay_HM = np.stack([decay_factors(pa.array(last_M).cast(TIMESTAMP), as_of=as_of, half_life_days=days) for days in half_lives_days])
    affinity_HM = np.sign(net_HM) * np.log1p(np.abs(net_HM)) * decay_HM
    found = Affinities(key_N[starts], affinity_HM, np.minimum.reduceat(first_N, starts), last_M, num_rows_M)
    return found.take(net_HM[0] != 0)


def microseconds(column: pa.ChunkedArray) -> IntArray:
    """UTC instants as numbers, shape of the column."""
    return np.asarray(column.cast(TIMESTAMP).cast(pa.int64()), dtype=np.int64)
