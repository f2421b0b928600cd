"""Negatives that only one like sees: items near it in the graph, and what its user dislikes.

Those the batch shares are `sampling`'s. What the user likes is never among them.
Shapes: U users, I items, E likes, B likes of a batch, H near items a like, M own negatives a like.
"""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from ml.config.pipeline import ModelConfig
from ml.graph.build import DISLIKED
from ml.models.gnn.loss import EXCLUDED
from ml.models.gnn.sampling import Likes
from ml.models.inputs import ModelInputs

# Two-hop walks from each like; more cost more and change the estimate little.
_NUM_WALKS = 4


@dataclass(frozen=True)
class _Pairs:
    """Who goes with what, to draw from: the entries of row r are `column_E[start_N[r]:start_N[r + 1]]`."""

    start_N: Tensor
    column_E: Tensor

    @classmethod
    def of(cls, matrix: sp.csr_array) -> Self:
        return cls(torch.from_numpy(matrix.indptr.astype(np.int64)), torch.from_numpy(matrix.indices.astype(np.int64)))

    def draw(self, row: Tensor, *, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """A column of each row by chance, and whether the row has any; both of the shape of `row`."""
        first, count = self.start_N[row], self.start_N[row + 1] - self.start_N[row]
        chance = torch.rand(row.shape, generator=generator, dtype=torch.float64)
        place = first + torch.minimum((chance * count).long(), (count - 1).clamp_min(0))
        has_any = count > 0
        return self.column_E[torch.where(has_any, place, 0)] if len(self.column_E) else torch.zeros_like(row), has_any


@dataclass(frozen=True)
class DrawnNegatives:
    """Items and the log of how much each counts, `EXCLUDED` where it does not, both [B, M]; the shared ones count `shared_weight`."""

    item_BM: Tensor
    log_weight_BM: Tensor
    shared_weight: float

    def take(self, chosen_B: Tensor) -> Self:
        """Those of some likes."""
        return replace(self, item_BM=self.item_BM[chosen_B], log_weight_BM=self.log_weight_BM[chosen_B])

    def to(self, device: torch.device) -> Self:
        """The same on another device."""
        return replace(self, item_BM=self.item_BM.to(device), log_weight_BM=self.log_weight_BM.to(device))


class OwnNegativeSampler:
    """Draws near items by two-hop walks (liked item, someone else who likes it, something they like) and disliked items.

    Near ones are the hard negatives of PinSage (Ying et al., KDD 2018), read from the graph instead of from PageRank scores.
    """

    def __init__(self, inputs: ModelInputs, *, config: ModelConfig) -> None:
        liked_UI = inputs.histories.liked_UI
        self._shared_weight = 1.0 - config.hard_negative_share
        near_weight, disliked_weight = _log(config.hard_negative_share / _NUM_WALKS), _log(config.disliked_negative_weight)
        self._log_weight_M = torch.tensor([near_weight] * _NUM_WALKS + [disliked_weight])
        self._items, self._users = _Pairs.of(liked_UI), _Pairs.of(_sorted(sp.csr_array(liked_UI.T)))
        self._disliked = _Pairs.of(_sorted(inputs.graph.adjacency(DISLIKED)))
        self._num_items = liked_UI.shape[1]
        user_E = np.repeat(np.arange(liked_UI.shape[0]), np.diff(liked_UI.indptr))
        self._key_E = torch.from_numpy(user_E * self._num_items + liked_UI.indices)

    def draw(self, batch: Likes, *, generator: torch.Generator) -> DrawnNegatives:
        """Own negatives of every like of a batch."""
        near_BH, is_near_BH = self._near(batch, generator=generator)
        disliked_B1, is_disliked_B1 = self._disliked.draw(batch.user_E[:, None], generator=generator)
        item_BM = torch.cat([near_BH, disliked_B1], dim=1)
        drawn_BM = torch.cat([is_near_BH, is_disliked_B1], dim=1)
        counts_BM = drawn_BM & ~self._is_liked(batch.user_E[:, None], item_BM)
        return DrawnNegatives(item_BM, torch.where(counts_BM, self._log_weight_M, EXCLUDED), self._shared_weight)

    def _near(self, batch: Likes, *, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        liked_BH = batch.item_E[:, None].expand(-1, _NUM_WALKS)
        fellow_BH, _ = self._users.draw(liked_BH, generator=generator)
        return self._items.draw(fellow_BH, generator=generator)

    def _is_liked(self, user_B1: Tensor, item_BM: Tensor) -> Tensor:
        key_BM = user_B1 * self._num_items + item_BM
        place_BM = torch.searchsorted(self._key_E, key_BM).clamp_max(len(self._key_E) - 1)
        found_BM: Tensor = self._key_E[place_BM] == key_BM
        return found_BM


def own_negatives(inputs: ModelInputs, *, config: ModelConfig) -> OwnNegativeSampler | None:
    """The sampler that a configuration asks for; None where it asks for none or there is no like to draw for."""
    if not inputs.positives_UI.nnz or not (config.hard_negative_share or config.disliked_negative_weight):
        return None
    return OwnNegativeSampler(inputs, config=config)


def _sorted(matrix: sp.csr_array) -> sp.csr_array:
    ordered = matrix.copy()
    ordered.sort_indices()
    return ordered


def _log(weight: float) -> float:
    return float(np.log(weight)) if weight > 0 else EXCLUDED
