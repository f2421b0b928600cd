"""The GNN's passes over the likes, one optimiser step a batch.

Knows networks and likes, no recommender: what is done with the vectors is `interest_gnn`;
when to stop is `ml.epochs.course`.
"""

from collections.abc import Callable
from itertools import islice

import torch
from torch import Tensor, nn

from ml.config.pipeline import ModelConfig
from ml.epochs import processes
from ml.epochs.checkpoints import Checkpoints
from ml.epochs.course import AfterEpoch, Epoch, Progress, run_epochs
from ml.models.gnn.loss import OwnNegatives, sampled_softmax_loss
from ml.models.gnn.node_network import NodeNetwork
from ml.models.gnn.own_negatives import DrawnNegatives, OwnNegativeSampler
from ml.models.gnn.propagation import Vectors
from ml.models.gnn.sampling import Likes, batches, sample_negatives


def train(
    network: NodeNetwork,
    learned: Likes,
    *,
    config: ModelConfig,
    generator: torch.Generator,
    device: torch.device,
    own: OwnNegativeSampler | None = None,
    validate: Callable[[Vectors], float] | None = None,
    checkpoints: Checkpoints | None = None,
    progress: Progress | None = None,
    after_epoch: AfterEpoch | None = None,
) -> tuple[Epoch, ...]:
    """Fit `network` to `learned` in place, as `run_epochs` does; without likes there is nothing to learn and the history is empty."""
    if not len(learned):
        return ()
    return run_epochs(
        Trainer(network, learned, config, generator, device, own=own),
        epochs=config.epochs,
        patience=config.patience,
        validate=(lambda: validate(network.unit_vectors())) if validate else None,
        checkpoints=checkpoints,
        progress=progress,
        after_epoch=after_epoch,
    )


class Trainer:
    """One optimiser over one network; in several processes (`ml.epochs.processes`), a share of every batch."""

    def __init__(
        self,
        network: NodeNetwork,
        learned: Likes,
        config: ModelConfig,
        generator: torch.Generator,
        device: torch.device,
        *,
        own: OwnNegativeSampler | None = None,
    ) -> None:
        self.network, self.learned, self.config, self.own = network, learned, config, own
        self.generator, self.device = generator, device
        processes.start_alike(network)
        self.optimizer = torch.optim.Adam(network.parameters(), lr=config.learning_rate)
        likes_I = torch.bincount(learned.item_E, minlength=len(network.own["item"]))
        self.log_share_I = torch.log(likes_I.clamp_min(1) / max(len(learned), 1)).to(device)

    def epoch(self) -> float:
        """One pass over all likes; the mean loss."""
        total = torch.zeros((), device=self.device)
        drawn = batches(self.learned, batch_size=self.config.batch_size, generator=self.generator)
        while group := tuple(islice(drawn, self.config.batches_per_step)):
            total += self.step(*group) * sum(map(len, group))
        return float(total) / len(self.learned)

    def step(self, *group: Likes) -> Tensor:
        """One update by the mean gradient of some batches; their mean loss before it, detached.

        The graph is propagated once: gradients gather at the vectors and go back through it together,
        which is exact, since the loss is a sum over batches and the vectors are the same for each.
        """
        vectors = self.network(shown_I1=self._shown_items())
        leaves = {kind: vectors[kind].detach().requires_grad_() for kind in ("user", "item")}
        self.optimizer.zero_grad(set_to_none=True)
        count = sum(map(len, group))
        loss = sum((self._gather(batch, leaves, count=count) for batch in group), start=torch.zeros((), device=self.device))
        gathered = [torch.zeros_like(leaf) if leaf.grad is None else leaf.grad for leaf in leaves.values()]
        torch.autograd.backward([vectors[kind] for kind in leaves], gathered)
        gradients = [parameter.grad for parameter in self.network.parameters() if parameter.grad is not None]
        processes.sum_over_all([*gradients, loss])
        self.optimizer.step()
        return loss

    def _gather(self, batch: Likes, vectors: Vectors, *, count: int) -> Tensor:
        """Add this process's part of a batch's gradient to `vectors` and the own vectors; its part of the mean loss over `count` likes."""
        negative_N = sample_negatives(self.learned, num_negatives=self.config.num_negatives, generator=self.generator)
        if self.config.in_batch_negatives:
            negative_N = torch.cat([negative_N, batch.item_E])
        drawn = self.own.draw(batch, generator=self.generator) if self.own else None
        mine = torch.arange(len(batch))[processes.own_share()]
        if not len(mine):
            return torch.zeros((), device=self.device)
        batch, drawn = batch.take(mine).to(self.device), drawn.take(mine).to(self.device) if drawn else None
        loss = self._loss(batch, vectors, negative_N=negative_N.to(self.device), drawn=drawn)
        share = len(mine) / count
        ((loss + self._penalty(batch)) * share).backward()  # type: ignore[no-untyped-call]
        return loss.detach() * share

    def _loss(self, batch: Likes, vectors: Vectors, *, negative_N: Tensor, drawn: DrawnNegatives | None) -> Tensor:
        own = OwnNegatives(rows(vectors["item"], drawn.item_BM), drawn.log_weight_BM, drawn.shared_weight) if drawn else None
        # bfloat16 pays on CUDA only; sparse products and the softmax stay in float32.
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.device.type == "cuda"):
            return sampled_softmax_loss(
                *(rows(vectors["user"], batch.user_E), rows(vectors["item"], batch.item_E), rows(vectors["item"], negative_N)),
                hits_BN=batch.item_E[:, None] == negative_N[None, :],
                log_share_B=self.log_share_I[batch.item_E],
                weight_B=batch.weight_E,
                temperature=self.config.temperature,
                own=own,
            )

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
