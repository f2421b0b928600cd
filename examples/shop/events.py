"""Events in memory: columns of equal length, and how several lots become one.

Times are whole seconds from the first day's midnight (UTC); day 0 is the first
day. Where events come from is `behaviour` and `spam`, where they go is `writing`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Self

import numpy as np

from examples.shop.arrays import SECONDS_PER_DAY, Bools, Ints

KINDS = ("view", "cart", "purchase", "rating", "review", "search")
VIEW, CART, PURCHASE, RATING, REVIEW, SEARCH = range(len(KINDS))


@dataclass(frozen=True)
class Events:
    """Parallel columns of shape [N]; -1 stands for none.

    `theme` is what the user had in mind, `visit` the session, `stars` 1 to 5.
    """

    user: Ints
    item: Ints
    kind: Ints
    at: Ints
    visit: Ints
    theme: Ints
    stars: Ints

    def __len__(self) -> int:
        return len(self.user)

    @property
    def day(self) -> Ints:
        """Day of each event, shape [N]."""
        return self.at // SECONDS_PER_DAY

    def where(self, rows: Bools | Ints) -> Self:
        """The rows of a mask, or at positions."""
        return type(self)(**{column.name: getattr(self, column.name)[rows] for column in fields(self)})

    def replace(self, **columns: Ints) -> Self:
        """The same rows with some columns changed."""
        return type(self)(**{column.name: columns.get(column.name, getattr(self, column.name)) for column in fields(self)})

    def by_time(self) -> Self:
        """Rows in order of time; ties in order of user, kind, item, visit."""
        return self.where(np.lexsort((self.visit, self.item, self.kind, self.user, self.at)))


def concatenate(lots: Sequence[Events]) -> Events:
    """All rows of all lots, in order."""
    return Events(**{column.name: np.concatenate([getattr(lot, column.name) for lot in lots]) for column in fields(Events)})
