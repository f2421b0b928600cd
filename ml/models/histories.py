"""What some users like, and since when: all that a model needs of users it has not met.

Shapes: U users, B batch of users, I items.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import scipy.sparse as sp

from ml.ids import IntArray


@dataclass(frozen=True)
class Histories:
    """Weights of likes above 0 and, of the same pattern, the days since each, above 0; None where nobody knows.

    Rows of both are sorted by item, so that their entries are each other's.
    """

    positives_UI: sp.csr_array
    age_UI: sp.csr_array | None = None

    def __post_init__(self) -> None:
        if self.age_UI is not None and not _same_pattern(self.positives_UI, self.age_UI):
            raise ValueError("age_UI has entries where positives_UI has none, or lacks some; both need the same pairs, sorted")

    def __len__(self) -> int:
        return int(self.positives_UI.shape[0])

    def take(self, user_index: IntArray) -> Self:
        """The histories of these rows, shape [B, I]."""
        age_BI = None if self.age_UI is None else self.age_UI[user_index]
        return type(self)(self.positives_UI[user_index], age_BI)

    @property
    def liked_UI(self) -> sp.csr_array:
        """1 where the user likes the item, sorted, float32.

        Counts of such rows are exact in float32 (below 2^24), so sums over users do not
        depend on the users' order.
        """
        liked_UI = sp.csr_array(self.positives_UI > 0, dtype=np.float32)
        liked_UI.sort_indices()
        return liked_UI


def _same_pattern(left: sp.csr_array, right: sp.csr_array) -> bool:
    return left.shape == right.shape and np.array_equal(left.indptr, right.indptr) and np.array_equal(left.indices, right.indices)
