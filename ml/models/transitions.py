"""Item transitions: what people like after what you liked last.

Pairs of one user's likes are counted from the older to the newer, near ones more, as the item-to-item part of FPMC (Rendle et
al., WWW 2010) and the decay of STAN (Garg et al., SIGIR 2019) and V-SkNN (Ludewig & Jannach, UMUAI 2018) do; popularity is
taken out as in `item_knn`. How recent likes count more is `histories`'s. Shapes: B batch of users, U users, I items, E likes, P pairs.
"""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from ml.ids import FloatArray, IntArray
from ml.models.few_items import product
from ml.models.histories import Histories, Recency
from ml.models.inputs import ModelInputs
from ml.models.recommender import require_known_users, require_same_items
from ml.models.storage import load_model, save_model, sparse_from_arrays, sparse_to_arrays

Weights = npt.NDArray[np.float64]

# Pairs counted at once, some 40 bytes each: what bounds memory.
_BLOCK_PAIRS = 20_000_000


class Transitions:
    """From item i to item j: (pairs of i before j + `backward` x pairs of j before i) / (sqrt(likes of i x likes of j) + shrinkage).

    A pair counts gap^-`gap_power`, the gap being how many likes lie between plus 1, and half of it after each `gap_half_life_days`
    between the two; times the user's credibility. Likes of one instant have no order: a pair of them counts half each way, with
    a gap of 1, as far as the window reaches, which goes by item among them. Where nobody knows the ages, or nobody's likes differ in
    age, this is so of all pairs, and scores are `ItemKNN`'s but for a factor.
    """

    name: ClassVar[str] = "transitions"

    def __init__(
        self,
        *,
        recency: Recency | None = Recency(4.0),  # noqa: B008 frozen
        backward: float = 0.6,
        gap_power: float = 0.25,
        gap_half_life_days: float | None = None,
        shrinkage: float = 50.0,
        num_neighbors: int = 200,
        window: int = 50,
    ) -> None:
        """`backward` 0 reads one way only, 1 knows no direction; pairs are up to `window` likes apart; `shrinkage` is in users."""
        if num_neighbors < 1 or window < 1 or min(shrinkage, backward, gap_power) < 0:
            raise ValueError(
                "num_neighbors and window must be at least 1, shrinkage, backward and gap_power at least 0, "
                f"not {num_neighbors}, {window}, {shrinkage}, {backward} and {gap_power}"
            )
        if gap_half_life_days is not None and not gap_half_life_days > 0:
            raise ValueError(f"gap_half_life_days must be above 0, or None for no decay over time, not {gap_half_life_days}")
        self.recency = recency
        self.backward = backward
        self.gap_power = gap_power
        self.gap_half_life_days = gap_half_life_days
        self.shrinkage = shrinkage
        self.num_neighbors = num_neighbors
        self.window = window
        self._weighted_UI = sp.csr_array((0, 0), dtype=np.float32)
        self._next_II = sp.csr_array((0, 0), dtype=np.float32)

    def fit(self, inputs: ModelInputs, *, rng: np.random.Generator) -> Self:  # noqa: ARG002
        """Count the transitions; `rng` is not needed."""
        histories = inputs.histories
        credible_UI = inputs.credible_UI
        likes_I = np.asarray(credible_UI.sum(axis=0, dtype=np.float64))
        rows = [
            strongest(_similarity(both_BI, first=first, likes_I=likes_I, shrinkage=self.shrinkage), num_kept=self.num_neighbors)
            for first, both_BI in self._both_ways(histories, credible_UI)
        ]
        self._next_II = sp.csr_array(sp.vstack(rows, format="csr")) if rows else sp.csr_array((0, 0), dtype=np.float32)
        self._weighted_UI = histories.weighted(self.recency)
        return self

    def _both_ways(self, histories: Histories, credible_UI: sp.csr_array) -> Iterator[tuple[int, sp.csr_array]]:
        """The first item of a block, and forward plus `backward` x backward weights of its rows, [items of the block, I]."""
        num_items = credible_UI.shape[1]
        is_ordered = histories.age_UI is not None and _is_anywhere_ordered(histories)
        for first, last in _item_blocks(credible_UI, window=self.window if is_ordered else num_items):
            if is_ordered:
                yield first, self._ordered(histories, credible_UI, first=first, last=last)
            else:
                shared_BI = histories.liked_UI[:, first:last].T.astype(np.float64) @ credible_UI
                yield first, sp.csr_array(shared_BI) * (0.5 * (1.0 + self.backward))

    def score(self, user_index: IntArray) -> FloatArray:
        """Summed similarity from what the user liked, recent likes more, 0 where nothing leads, shape [B, I]."""
        require_known_users(user_index, num_users=self._weighted_UI.shape[0])
        return self._following(self._weighted_UI[user_index])

    def fold_in(self, histories: Histories) -> FloatArray:
        """As `score`, for new users, shape [B, I]."""
        require_same_items(histories, num_items=self._next_II.shape[0])
        return self._following(histories.weighted(self.recency))

    def _following(self, weighted_BI: sp.csr_array) -> FloatArray:
        return product(weighted_BI, self._next_II)

    def _ordered(self, histories: Histories, credible_UI: sp.csr_array, *, first: int, last: int) -> sp.csr_array:
        """As `_both_ways`, from the order of likes: pairs with an end in the block, each seen from that end."""
        user_E, ago_E, age_E = histories.user_index, histories.items_ago, histories.ages
        item_E = credible_UI.indices
        found_BI = sp.csr_array((last - first, credible_UI.shape[1]), dtype=np.float64)
        for older_P, newer_P in _pairs(np.lexsort((-age_E, user_E)), user_E=user_E, window=self.window):
            for from_P, to_P, way in ((older_P, newer_P, 1.0), (newer_P, older_P, self.backward)):
                here = (item_E[from_P] >= first) & (item_E[from_P] < last)
                start_P, end_P = from_P[here], to_P[here]
                gap_P = np.abs(ago_E[start_P] - ago_E[end_P])
                weight_P = credible_UI.data[start_P] * self._decayed(gap_P, days_P=np.abs(age_E[start_P] - age_E[end_P]))
                # Likes of one instant have no order: half each way.
                weight_P *= np.where(gap_P > 0, way, 0.5 * (1.0 + self.backward))
                entries = (weight_P, (item_E[start_P] - first, item_E[end_P]))
                found_BI += sp.csr_array(entries, shape=found_BI.shape)
        return found_BI

    def _decayed(self, gap_P: IntArray, *, days_P: Weights) -> Weights:
        """What pairs this far apart count, in (0, 1], shape [P]."""
        weight_P: Weights = np.maximum(gap_P, 1).astype(np.float64) ** -self.gap_power
        return weight_P if self.gap_half_life_days is None else weight_P * np.exp2(-days_P / self.gap_half_life_days)

    def save(self, directory: Path) -> None:
        """Write weighted histories and transitions."""
        parameters = {
            "backward": self.backward,
            "gap_power": self.gap_power,
            # No decay is a half-life of 0, which no decay has.
            "gap_half_life_days": self.gap_half_life_days or 0.0,
            "shrinkage": self.shrinkage,
            "num_neighbors": self.num_neighbors,
            "window": self.window,
        } | Recency.to_parameters(self.recency)
        arrays = sparse_to_arrays(self._weighted_UI, prefix="weighted") | sparse_to_arrays(self._next_II, prefix="next")
        save_model(directory, name=self.name, parameters=parameters, arrays=arrays)

    @classmethod
    def load(cls, directory: Path) -> Self:
        """The model that `save` wrote."""
        parameters, arrays = load_model(directory, name=cls.name)
        model = cls(
            recency=Recency.from_parameters(parameters),
            backward=float(parameters["backward"]),
            gap_power=float(parameters["gap_power"]),
            gap_half_life_days=float(parameters["gap_half_life_days"]) or None,
            shrinkage=float(parameters["shrinkage"]),
            num_neighbors=int(parameters["num_neighbors"]),
            window=int(parameters["window"]),
        )
        model._weighted_UI = sparse_from_arrays(arrays, prefix="weighted")
        model._next_II = sparse_from_arrays(arrays, prefix="next")
        return model


def strongest(weight_II: sp.csr_array, *, num_kept: int) -> sp.csr_array:
    """The `num_kept` largest entries of each row, equal ones by position, sorted, float32."""
    count_I = np.diff(weight_II.indptr)
    row_P = np.repeat(np.arange(len(count_I)), count_I)
    # Compared as float32, so that entries equal but for rounding tie.
    value_P = weight_II.data.astype(np.float32)
    strongest_first = np.lexsort((weight_II.indices, -value_P, row_P))
    kept_P = np.sort(strongest_first[np.arange(len(row_P)) - weight_II.indptr[row_P] < num_kept])
    found_II = sp.csr_array((value_P[kept_P], (row_P[kept_P], weight_II.indices[kept_P])), shape=weight_II.shape)
    found_II.sort_indices()
    return found_II


def _pairs(oldest_first_E: IntArray, *, user_E: IntArray, window: int) -> Iterator[tuple[IntArray, IntArray]]:
    """Likes of one user up to `window` apart, as places of the older and the newer, by their distance."""
    for shift in range(1, window + 1):
        older_P, newer_P = oldest_first_E[:-shift], oldest_first_E[shift:]
        is_of_one_user_P = user_E[older_P] == user_E[newer_P]
        if not is_of_one_user_P.any():
            return
        yield older_P[is_of_one_user_P], newer_P[is_of_one_user_P]


def _similarity(both_BI: sp.csr_array, *, first: int, likes_I: Weights, shrinkage: float) -> sp.csr_array:
    """The class's formula for the rows from item `first` on, without its diagonal, entries above 0 only, [items of the block, I]."""
    found_BI = sp.coo_array(both_BI)
    row_P, column_P = found_BI.coords
    similarity_P = found_BI.data / (np.sqrt(likes_I[first + row_P] * likes_I[column_P]) + shrinkage)
    kept_P = (first + row_P != column_P) & (similarity_P > 0)
    return sp.csr_array((similarity_P[kept_P], (row_P[kept_P], column_P[kept_P])), shape=both_BI.shape)


def _is_anywhere_ordered(histories: Histories) -> bool:
    """Whether anybody's likes are of more than one instant."""
    return bool((histories.items_ago > 1).any())


def _item_blocks(credible_UI: sp.csr_array, *, window: int) -> Iterator[tuple[int, int]]:
    """First items and ends of blocks whose pairs are `_BLOCK_PAIRS` or fewer, or a single item each; none without items."""
    count_U = np.diff(credible_UI.indptr)
    partners_E = np.repeat(np.minimum(count_U, 2 * window), count_U)
    pairs_I = np.bincount(credible_UI.indices, weights=partners_E, minlength=credible_UI.shape[1])
    block_I = (np.cumsum(pairs_I) // _BLOCK_PAIRS).astype(np.int64)
    starts = np.flatnonzero(np.diff(block_I, prepend=-1)).tolist()
    yield from pairwise([*starts, len(block_I)])
