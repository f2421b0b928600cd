"""What every user made of every item they met: one damped, signed number per pair, and when.

Interactions of all days come in; what is unusual about them is judged beside this file. Shapes: U users, I items, M pairs.
"""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ml.contracts.contract import TIMESTAMP
from ml.ids import BoolArray, IntArray, Vocabulary, pair_starts

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Opinions:
    """Pairs in order of user, then item; `opinion_M` is sign(w) log1p(|w|) of the summed weight w, `at_M` UTC microseconds."""

    users: Vocabulary
    items: Vocabulary
    user_M: IntArray
    item_M: IntArray
    opinion_M: Floats
    at_M: IntArray
    as_of: datetime

    def __len__(self) -> int:
        return len(self.user_M)

    @property
    def num_items_U(self) -> IntArray:
        """Items each user has an opinion on, shape [U]."""
        return np.bincount(self.user_M, minlength=len(self.users)).astype(np.int64)

    @property
    def num_users_I(self) -> IntArray:
        """Users who have an opinion on each item, shape [I]."""
        return np.bincount(self.item_M, minlength=len(self.items)).astype(np.int64)

    @property
    def is_like_M(self) -> BoolArray:
        """Which are good opinions."""
        return np.asarray(self.opinion_M > 0, dtype=np.bool_)

    def mean_by_user(self, values_M: Floats, *, weight_M: Floats | None = None) -> Floats:
        """Mean of a value over each user's pairs, shape [U]; 0 where the weights are."""
        weights = np.ones(len(self)) if weight_M is None else weight_M
        total_U = np.bincount(self.user_M, weights=values_M * weights, minlength=len(self.users))
        return total_U / np.maximum(np.bincount(self.user_M, weights=weights, minlength=len(self.users)), 1e-12)


def opinions(interactions: pa.Table, *, as_of: datetime) -> Opinions:
    """The opinions that interactions before `as_of` come to; the order of rows never shows."""
    users = Vocabulary("user", interactions.column("user_id"))
    items = Vocabulary("item", interactions.column("item_id"))
    user_N, item_N = users.positions(interactions.column("user_id")), items.positions(interactions.column("item_id"))
    weight_N = np.asarray(interactions.column("weight"), dtype=np.float64)
    at_N = np.asarray(interactions.column("last_event_at").cast(TIMESTAMP).cast(pa.int64()), dtype=np.int64)
    order = np.lexsort((weight_N, item_N, user_N))
    user_N, item_N = user_N[order], item_N[order]
    starts = pair_starts(user_N, item_N)
    if not len(starts):
        return Opinions(users, items, user_N, item_N, weight_N, at_N, as_of)
    net_M = np.add.reduceat(weight_N[order], starts)
    opinion_M = np.sign(net_M) * np.log1p(np.abs(net_M))
    return Opinions(users, items, user_N[starts], item_N[starts], opinion_M, np.maximum.reduceat(at_N[order], starts), as_of)
