"""What some users like, and since when: all that a model needs of users it has not met.

How much recent likes count more is decided here, once for all models.
Shapes: U users, B batch of users, I items, E likes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Self, cast

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from ml.ids import IntArray, pair_starts

RecencyUnit = Literal["items", "days"]


@dataclass(frozen=True)
class Recency:
    """A like counts half after `half_life` newer likes of its user, or that many days before the newest one.

    Ding & Li, "Time weight collaborative filtering", CIKM 2005.
    """

    half_life: float
    unit: RecencyUnit = "items"

    def __post_init__(self) -> None:
        if not self.half_life > 0:
            raise ValueError(f"half_life must be above 0, not {self.half_life}; to count all likes the same, pass no Recency at all")
        if self.unit not in {"items", "days"}:
            raise ValueError(f"unit must be items or days, not {self.unit}")

    @staticmethod
    def to_parameters(recency: "Recency | None") -> dict[str, str | float]:
        """For a saved model's JSON; no recency is a half-life of 0, which no recency has."""
        half_life, unit = (0.0, "items") if recency is None else (recency.half_life, recency.unit)
        return {"recency_half_life": half_life, "recency_unit": unit}

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, str | int | float]) -> "Recency | None":
        """What `to_parameters` wrote."""
        half_life = float(parameters["recency_half_life"])
        return cls(half_life, cast("RecencyUnit", str(parameters["recency_unit"]))) if half_life > 0 else None


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
        rows_UI = self.positives_UI
        if rows_UI.has_sorted_indices and (rows_UI.data > 0).all():
            # All that there is, as it lies.
            return sp.csr_array((np.ones(rows_UI.nnz, dtype=np.float32), rows_UI.indices, rows_UI.indptr), shape=rows_UI.shape)
        liked_UI = sp.csr_array(rows_UI > 0, dtype=np.float32)
        liked_UI.sort_indices()
        return liked_UI

    def weighted(self, recency: Recency | None) -> sp.csr_array:
        """The likes, the newest of each user 1 and older ones less, sorted, float32; all 1 without recency or ages."""
        liked_UI = self.liked_UI
        if recency is not None and self.age_UI is not None:
            age_E = self.ages - self._newest_ages if recency.unit == "days" else self.items_ago - 1.0
            # A like too old for float32 stays a like.
            faded_E = np.maximum(np.exp2(-age_E / recency.half_life), np.finfo(np.float32).tiny)
            liked_UI.data = faded_E.astype(np.float32)
        return liked_UI

    @property
    def user_index(self) -> IntArray:
        """The user of each like, shape [E]."""
        return np.repeat(np.arange(len(self)), np.diff(self.positives_UI.indptr)).astype(np.int64)

    @property
    def ages(self) -> npt.NDArray[np.float64]:
        """Days since each like, shape [E]; all 1 where nobody knows."""
        return np.ones(self.positives_UI.nnz) if self.age_UI is None else self.age_UI.data.astype(np.float64)

    @property
    def items_ago(self) -> IntArray:
        """1 and how many likes of the same user are newer, the same for likes of one instant, shape [E]."""
        user_E, age_E = self.user_index, self.ages
        newest_first = np.lexsort((age_E, user_E))
        # Ages as positions, so that equal ones are equal whole numbers.
        instant_E = np.unique(age_E, return_inverse=True)[1].astype(np.int64)
        start_S = pair_starts(user_E[newest_first], instant_E[newest_first])
        first_E = np.repeat(start_S, np.diff(start_S, append=len(user_E)))
        ago_E = np.empty(len(user_E), dtype=np.int64)
        ago_E[newest_first] = first_E - self.positives_UI.indptr[user_E[newest_first]] + 1
        return ago_E

    @property
    def _newest_ages(self) -> npt.NDArray[np.float64]:
        """The age of the newest like of each like's user, shape [E]."""
        newest_U = np.full(len(self), np.inf)
        np.minimum.at(newest_U, self.user_index, self.ages)
        return newest_U[self.user_index]


def _same_pattern(left: sp.csr_array, right: sp.csr_array) -> bool:
    return left.shape == right.shape and np.array_equal(left.indptr, right.indptr) and np.array_equal(left.indices, right.indices)
