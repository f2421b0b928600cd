"""The contrastive loss: each text of a pair must find the other among all those of the batch.

InfoNCE (van den Oord et al., arXiv 1807.03748), both ways as in CLIP (Radford et al., arXiv 2103.00020).
Shapes: B pairs, D dimension.
"""

import torch
from torch import Tensor


def contrastive_loss(anchors_BD: Tensor, documents_BD: Tensor, *, alike_BB: Tensor, temperature: float) -> Tensor:
    """Mean of both ways' cross-entropies, in nats, of unit vectors.

    `alike_BB` is true where anchor and document belong together although they are of two pairs: they
    are no negatives of each other. The diagonal, the pairs themselves, is never left out.
    """
    logits_BB = anchors_BD @ documents_BD.T / temperature
    own_BB = torch.eye(len(logits_BB), dtype=torch.bool, device=logits_BB.device)
    logits_BB = logits_BB.masked_fill(alike_BB & ~own_BB, float("-inf"))
    answers_B = torch.arange(len(logits_BB), device=logits_BB.device)
    cross_entropy = torch.nn.functional.cross_entropy
    return (cross_entropy(logits_BB, answers_B) + cross_entropy(logits_BB.T, answers_B)) / 2
