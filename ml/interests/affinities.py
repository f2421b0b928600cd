"""How much users like the items they met: one signed number per pair, faded by time.

Interactions of all days come in; `ml.interests.profiles` spreads the numbers over interest
points. Shapes: N interactions, M (user, item) pairs.
"""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ml.contracts.contract import TIMESTAMP
from ml.decay import decay_by_age, decay_factors
from ml.ids import BoolArray, IntArray, Vocabulary, pair_starts

# Likes and dislikes that cancel leave rounding errors, not interests.
ROUNDING = 1e-9


@dataclass(frozen=True)
class Affinities:
    """Pairs in order of user, then item; affinity is never 0, instants are UTC microseconds. All of shape [M]."""

    user_M: IntArray
    item_M: IntArray
    affinity_M: npt.NDArray[np.float64]
    first_M: IntArray
    last_M: IntArray

    def __len__(self) -> int:
        return len(self.user_M)

    def take(self, chosen: slice | BoolArray) -> "Affinities":
        """The pairs of a slice or mask."""
        return Affinities(self.user_M[chosen], self.item_M[chosen], self.affinity_M[chosen], self.first_M[chosen], self.last_M[chosen])


def pair_affinities(interactions: pa.Table, *, users: Vocabulary, items: Vocabulary, half_life_days: float, as_of: datetime) -> Affinities:
    """Affinity of each user to each item of `items` met; other items are left out, so are pairs that cancel.

    sign(x) log1p(|x|), halved every `half_life_days` from the pair's last event to `as_of`,
    where x is the sum of the pair's weights, each halved likewise up to that last event.
    """
    item_N, known_N = items.find(interactions.column("item_id"))
    known = interactions.filter(pa.array(known_N))
    if not known.num_rows:
        none = np.zeros(0, dtype=np.int64)
        return Affinities(none, none, np.zeros(0), none, none)
    user_N, weight_N = users.positions(known.column("user_id")), np.asarray(known.column("weight"), dtype=np.float64)
    first_N, last_N = _microseconds(known.column("first_event_at")), _microseconds(known.column("last_event_at"))
    # Every column that sums depend on, so that the order of rows never shows.
    order = np.lexsort((weight_N, last_N, item_N[known_N], user_N))
    user_N, item_N, last_N = user_N[order], item_N[known_N][order], last_N[order]
    starts = pair_starts(user_N, item_N)
    last_M = np.maximum.reduceat(last_N, starts)
    age_N = np.repeat(last_M, np.diff(starts, append=len(order))) - last_N
    net_M = np.add.reduceat(weight_N[order] * decay_by_age(age_N, half_life_days=half_life_days), starts)
    decay_M = decay_factors(pa.array(last_M).cast(TIMESTAMP), as_of=as_of, half_life_days=half_life_days)
    affinity_M = np.sign(net_M) * np.log1p(np.abs(net_M)) * decay_M
    pairs = Affinities(user_N[starts], item_N[starts], affinity_M, np.minimum.reduceat(first_N[order], starts), last_M)
    return pairs.take(np.abs(net_M) > ROUNDING)


def _microseconds(column: pa.ChunkedArray) -> IntArray:
    return np.asarray(column.cast(TIMESTAMP).cast(pa.int64()), dtype=np.int64)
