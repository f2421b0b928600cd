"""What settings are worth to each validation user, apart by who may look: the search, or its verdict alone.

The best of many trials looks better than it is to the users it was chosen by; to others it does not.
Shapes: V users that are searched on, W users held out.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa


@dataclass(frozen=True)
class Figures:
    """NDCG@10 of both, the same users in the same order whatever the settings."""

    searched_V: npt.NDArray[np.float64]
    held_out_W: npt.NDArray[np.float64]

    def to_table(self) -> pa.Table:
        """A row per user."""
        is_held_out = np.repeat([False, True], [len(self.searched_V), len(self.held_out_W)])
        return pa.table({"is_held_out": is_held_out, "figure": np.concatenate([self.searched_V, self.held_out_W])})

    @classmethod
    def from_table(cls, table: pa.Table) -> Self:
        """What `to_table` gave."""
        is_held_out, figure = (np.asarray(table.column(name)) for name in ("is_held_out", "figure"))
        return cls(figure[~is_held_out], figure[is_held_out])
