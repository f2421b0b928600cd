"""From token vectors to one vector. Shapes: B batch, T tokens, D dimension.

Each function reads the mask, so it is right whichever side the padding is on.
"""

from typing import Literal

import numpy as np
import torch

from ml.ids import IntArray

Pooling = Literal["mean", "cls", "last"]


def pool(hidden_BTD: torch.Tensor, *, mask_BT: torch.Tensor, pooling: Pooling) -> torch.Tensor:
    """One float32 vector per text, not normalised, shape [B, D].

    `mask_BT` is true at real tokens; every text has at least one.
    """
    if pooling == "mean":
        return _mean(hidden_BTD, mask_BT)
    positions_T = torch.arange(mask_BT.shape[1], device=mask_BT.device)
    last_B = (mask_BT * (positions_T + 1)).argmax(dim=1)
    first_B = mask_BT.to(torch.int8).argmax(dim=1)
    chosen_B = first_B if pooling == "cls" else last_B
    return hidden_BTD[torch.arange(len(chosen_B), device=mask_BT.device), chosen_B].float()


def _mean(hidden_BTD: torch.Tensor, mask_BT: torch.Tensor) -> torch.Tensor:
    # Summed in float32: a bfloat16 sum over 256 tokens would lose a digit.
    kept_BTD = hidden_BTD.float() * mask_BT.unsqueeze(-1)
    return kept_BTD.sum(dim=1) / mask_BT.sum(dim=1, keepdim=True)


def pool_packed(hidden_TD: torch.Tensor, *, lengths: IntArray, pooling: Pooling) -> torch.Tensor:
    """As `pool`, of texts of given lengths end to end, shape [B, D]."""
    ends = np.cumsum(lengths)
    if pooling == "mean":
        # A text at a time: a cumulative sum over the pack would bring the others' rounding in.
        return torch.stack([part.float().mean(dim=0) for part in torch.split(hidden_TD, lengths.tolist())])
    return hidden_TD[torch.from_numpy(ends - lengths if pooling == "cls" else ends - 1)].float()
