"""The training objective: softmax over the catalogue, estimated from sampled negatives.

Shapes: B likes of a batch, N negatives, D embedding size.
"""

import math

import torch
from torch import Tensor

# Of a logit that must not count. Finite: where every negative is masked, minus infinity has no gradient.
_EXCLUDED = -1e4


def sampled_softmax_loss(
    users_BD: Tensor, items_BD: Tensor, negatives_ND: Tensor, *, hits_BN: Tensor, log_share_B: Tensor, weight_B: Tensor, temperature: float
) -> Tensor:
    """Mean weighted cross-entropy of the liked item under `softmax(cosine / temperature + log share)`, a scalar.

    `log_share_B` is the log of the liked item's share of all likes. Negatives are drawn by the
    same shares, so the log-popularity correction of a sampled logit (logQ; Bengio & Senecal
    2008, Yi et al., RecSys 2019) cancels against the prior: `mean(exp(cosine / T))` over the
    negatives estimates the normaliser, and the cosine learns what popularity does not say.
    Popularity is added back at scoring. `hits_BN` marks negatives that are the liked item itself.
    """
    scaled_BD = users_BD / temperature
    logit_B = (scaled_BD * items_BD).sum(dim=1) + log_share_B
    negative_BN = (scaled_BD @ negatives_ND.T).float().masked_fill_(hits_BN, _EXCLUDED)
    others_B = torch.logsumexp(negative_BN, dim=1) - math.log(len(negatives_ND))
    return (weight_B * (torch.logaddexp(logit_B, others_B) - logit_B)).mean()
