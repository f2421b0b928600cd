"""What a training step sees: a batch of likes and the negatives they share.

Shapes: E likes, B likes of a batch, N negatives.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from ml.models.gnn.relations import likes
from ml.models.inputs import ModelInputs


@dataclass(frozen=True)
class Likes:
    """Every like as positions and a weight of mean 1, each shape [E]."""

    user_E: Tensor
    item_E: Tensor
    weight_E: Tensor

    def __len__(self) -> int:
        return len(self.user_E)

    def take(self, chosen_B: Tensor) -> "Likes":
        """Some of them."""
        return Likes(self.user_E[chosen_B], self.item_E[chosen_B], self.weight_E[chosen_B])

    def to(self, device: torch.device) -> "Likes":
        """The same on another device."""
        return Likes(self.user_E.to(device), self.item_E.to(device), self.weight_E.to(device))


def likes_to_learn(inputs: ModelInputs, *, weight_power: float) -> Likes:
    """The likes of the inputs; weights to `weight_power`, then scaled to mean 1."""
    weight_UI = sp.coo_array(likes(inputs, power=weight_power))
    user_E, item_E = (np.asarray(index, dtype=np.int64) for index in weight_UI.coords)
    weight_E = weight_UI.data / weight_UI.data.mean() if weight_UI.nnz else weight_UI.data
    return Likes(torch.from_numpy(user_E), torch.from_numpy(item_E), torch.from_numpy(weight_E.astype(np.float32)))


def batches(found: Likes, *, batch_size: int, generator: torch.Generator) -> Iterator[Likes]:
    """All likes once, in random order."""
    order_E = torch.randperm(len(found), generator=generator)
    for start in range(0, len(found), batch_size):
        yield found.take(order_E[start : start + batch_size])


def sample_negatives(found: Likes, *, num_negatives: int, generator: torch.Generator) -> Tensor:
    """Item positions drawn in proportion to how many users like them, shape [N].

    An item nobody likes is never drawn, so a new item is not pushed away from everyone.
    """
    return found.item_E[torch.randint(len(found), (num_negatives,), generator=generator)]
