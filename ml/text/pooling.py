"""From token vectors to one vector. Shapes: B batch, T tokens, D dimension.

Each function reads the mask, so it is right whichever side the padding is on.
"""

from typing import Literal

import torch

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
