"""The training objective: softmax over the catalogue, estimated from sampled negatives.

Its gradients are worked out with its value, a block of likes at a time, so that likes x negatives is never held in full.
Shapes: B likes of a batch (C of a block), N negatives shared by the batch, M negatives of each like's own, D embedding size.
"""

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

# Of a logit that must not count. Finite: where every negative is masked, minus infinity has no gradient.
EXCLUDED = -1e4
# Likes worked on at once: their logits fit a processor's cache.
_BLOCK_SIZE = 1024


class OwnNegatives(NamedTuple):
    """Vectors [B, M, D] of negatives that only their like sees, and the log of how much each counts [B, M].

    `shared_weight` is what the shared negatives count together.
    """

    vectors_BMD: Tensor
    log_weight_BM: Tensor
    shared_weight: float


def sampled_softmax_loss(
    users_BD: Tensor,
    items_BD: Tensor,
    negatives_ND: Tensor,
    *,
    hits_BN: Tensor,
    log_share_B: Tensor,
    weight_B: Tensor,
    temperature: float,
    own: OwnNegatives | None = None,
) -> Tensor:
    """Mean weighted cross-entropy of the liked item under `softmax(cosine / temperature + log share)`, a scalar.

    `log_share_B` is the log of the liked item's share of all likes. Negatives are drawn by the
    same shares, so the log-popularity correction of a sampled logit (logQ; Bengio & Senecal
    2008, Yi et al., RecSys 2019) cancels against the prior: `mean(exp(cosine / T))` over the
    negatives estimates the normaliser, and the cosine learns what popularity does not say.
    Popularity is added back at scoring. `hits_BN` marks negatives that are the liked item itself.
    With `own`, the estimate is `shared weight x that mean + sum over own negatives of weight x exp(cosine / T)`.
    """
    scaled_BD = users_BD.float() / temperature
    logit_B = (scaled_BD * items_BD.float()).sum(dim=1) + log_share_B
    own_B = torch.full_like(logit_B, EXCLUDED)
    if own is not None:
        own_BM = (scaled_BD[:, None, :] * own.vectors_BMD.float()).sum(dim=2)
        own_B = torch.logsumexp(own_BM + own.log_weight_BM, dim=1)
    shared_weight = 1.0 if own is None else own.shared_weight
    loss: Tensor = _CrossEntropy.apply(scaled_BD, negatives_ND.float(), logit_B, own_B, hits_BN, weight_B, shared_weight)  # type: ignore[no-untyped-call]
    return loss


class _CrossEntropy(torch.autograd.Function):
    """`mean(weight x (log(e^logit + e^own + w mean_N e^(u.n)) - logit))`; hits are left out of the sum, not of N."""

    @staticmethod
    def forward(  # noqa: PLR0917  (torch calls it by position)
        ctx: Any,
        users_BD: Tensor,
        negatives_ND: Tensor,
        logit_B: Tensor,
        own_B: Tensor,
        hits_BN: Tensor,
        weight_B: Tensor,
        shared_weight: float,
    ) -> Tensor:
        """The scalar; its gradients wait for `backward`."""
        to_users_BD, to_negatives_ND = torch.empty_like(users_BD), torch.zeros_like(negatives_ND)
        surprise_B, other_B = torch.empty_like(logit_B), torch.empty_like(logit_B)
        log_each = math.log(shared_weight / len(negatives_ND)) if shared_weight > 0 else EXCLUDED
        for start in range(0, len(users_BD), _BLOCK_SIZE):
            block = slice(start, start + _BLOCK_SIZE)
            share_CN = (users_BD[block] @ negatives_ND.T).float().add_(log_each).masked_fill_(hits_BN[block], EXCLUDED)
            top_C = torch.maximum(torch.maximum(logit_B[block], own_B[block]), share_CN.amax(dim=1))
            share_CN.sub_(top_C[:, None]).exp_()
            other_B[block] = torch.exp(own_B[block] - top_C)
            total_C = torch.exp(logit_B[block] - top_C) + other_B[block] + share_CN.sum(dim=1)
            surprise_B[block] = torch.log(total_C) + top_C - logit_B[block]
            other_B[block] /= total_C
            scale_C1 = (weight_B[block] / (len(users_BD) * total_C))[:, None]
            to_users_BD[block] = (share_CN @ negatives_ND).float() * scale_C1
            to_negatives_ND += (share_CN.T @ (users_BD[block] * scale_C1)).float()
        weighed_B = weight_B / len(users_BD)
        ctx.save_for_backward(to_users_BD, to_negatives_ND, weighed_B * torch.expm1(-surprise_B), weighed_B * other_B)
        return (weight_B * surprise_B).mean()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """The kept gradients, times that of the scalar."""
        return *(gradients[0] * kept for kept in ctx.saved_tensors), None, None, None
