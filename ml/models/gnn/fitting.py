"""The GNN's passes over the likes, one optimiser step a batch.

Knows networks and likes, no recommender: what is done with the vectors is `interest_gnn`;
when to stop is `ml.epochs.course`.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ml.config.pipeline import ModelConfig
from ml.epochs.checkpoints import Checkpoints
from ml.epochs.course import AfterEpoch, Epoch, Progress, run_epochs
from ml.models.gnn.loss import sampled_softmax_loss
from ml.models.gnn.network import InterestNetwork
from ml.models.gnn.propagation import Vectors
from ml.models.gnn.sampling import Likes, batches, sample_negatives


def train(
    network: InterestNetwork,
    learned: Likes,
    *,
    config: ModelConfig,
    generator: torch.Generator,
    device: torch.device,
    validate: Callable[[Vectors], float] | None = None,
    checkpoints: Checkpoints | None = None,
    progress: Progress | None = None,
    after_epoch: AfterEpoch | None = None,
) -> tuple[Epoch, ...]:
    """Fit `network` to `learned` in place, as `run_epochs` does; without likes there is nothing to learn and the history is empty."""
    if not len(learned):
        return ()
    return run_epochs(
        Trainer(network, learned, config, generator, device),
        epochs=config.epochs,
        patience=config.patience,
        validate=(lambda: validate(network.unit_vectors())) if validate else None,
        checkpoints=checkpoints,
        progress=progress,
        after_epoch=after_epoch,
    )


class Trainer:
    """One optimiser over one network."""

    def __init__(
        self, network: InterestNetwork, learned: Likes, config: ModelConfig, generator: torch.Generator, device: torch.device
    ) -> None:
        self.network, self.learned, self.config = network, learned, config
        self.generator, self.device = generator, device
        self.optimizer = torch.optim.Adam(network.parameters(), lr=config.learning_rate)
        likes_I = torch.bincount(learned.item_E, minlength=len(network.own["item"]))
        self.log_share_I = torch.log(likes_I.clamp_min(1) / max(len(learned), 1)).to(device)

    def epoch(self) -> float:
        """One pass over all likes; the mean loss."""
        total = torch.zeros((), device=self.device)
        for batch in batches(self.learned, batch_size=self.config.batch_size, generator=self.generator):
            total += self.step(batch.to(self.device)) * len(batch)
        return float(total) / len(self.learned)

    def step(self, batch: Likes) -> Tensor:
        """One update; the loss before it, detached."""
        negative_N = sample_negatives(self.learned, num_negatives=self.config.num_negatives, generator=self.generator).to(self.device)
        vectors = self.network(shown_I1=self._shown_items())
        # bfloat16 pays on CUDA only; sparse products and the softmax stay in float32.
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.device.type == "cuda"):
            loss = sampled_softmax_loss(
                *(rows(vectors["user"], batch.user_E), rows(vectors["item"], batch.item_E), rows(vectors["item"], negative_N)),
                hits_BN=batch.item_E[:, None] == negative_N[None, :],
                log_share_B=self.log_share_I[batch.item_E],
                weight_B=batch.weight_E,
                temperature=self.config.temperature,
            )
        self.optimizer.zero_grad(set_to_none=True)
        (loss + self._penalty(batch)).backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        return loss.detach()

    def _penalty(self, batch: Likes) -> Tensor:
        """Squared length of the own vectors of the batch's users and items, per like."""
        own = self.network.own
        squares = rows(own["user"], batch.user_E).square().sum() + rows(own["item"], batch.item_E).square().sum()
        return self.config.regularization * squares / len(batch)

    def _shown_items(self) -> Tensor | None:
        """A random share of items plays new, so that text and interests learn to stand in for behaviour."""
        if not self.config.hidden_item_share:
            return None
        chance_I1 = torch.rand(len(self.network.own["item"]), 1, generator=self.generator)
        return (chance_I1 >= self.config.hidden_item_share).float().to(self.device)


def rows(matrix_ND: Tensor, index_B: Tensor) -> Tensor:
    """Rows by position, shape [B, D]. Its gradient, unlike that of `matrix[index]`, is summed in a fixed order on CPU."""
    return nn.functional.embedding(index_B, matrix_ND)
