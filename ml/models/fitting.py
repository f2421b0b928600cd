"""The training loop: steps over batches, a figure per epoch, the best epoch kept.

Knows networks and likes, no recommender: what is done with the vectors is `interest_gnn`.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn

from ml.checkpoints import Checkpoint, Checkpoints
from ml.config.pipeline import ModelConfig
from ml.models.loss import sampled_softmax_loss
from ml.models.network import InterestNetwork
from ml.models.propagation import Vectors
from ml.models.sampling import Likes, batches, sample_negatives

Progress = Callable[[int, int], None]

# Parts of a checkpoint.
_NETWORK, _ADAM, _GENERATOR, _KEPT = "network/", "adam/", "generator", "best/"


@dataclass(frozen=True)
class Epoch:
    """What one pass over the likes gave: mean loss in nats, and NDCG@10 on the validation slice where there is one."""

    number: int
    loss: float
    validation_ndcg: float | None


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
) -> tuple[Epoch, ...]:
    """Fit `network` to `learned` in place; with `validate`, stop after `patience` epochs without gain and go back to the best.

    With `checkpoints`, where training stands is written after every epoch, and read first: a fit that
    was killed goes on to the bits it would have had. Without likes there is nothing to learn and the
    history is empty.
    """
    trainer = Trainer(network, learned, config, generator, device)
    checkpoint = checkpoints.newest() if checkpoints else None
    course = _resumed(checkpoint, trainer) if checkpoint else _Course([], 0, _copy(network))
    history = course.history
    while len(learned) and len(history) < config.epochs and len(history) - course.best < config.patience:
        loss = trainer.epoch()
        figure = validate(network.unit_vectors()) if validate else None
        course.add(Epoch(len(history) + 1, loss, figure), network)
        if checkpoints is not None:
            checkpoints.write(len(history), _checkpoint(course, trainer))
        if progress is not None:
            progress(len(history), config.epochs)
    if validate and history:
        network.load_state_dict(course.kept)
    return tuple(history)


@dataclass
class _Course:
    """How training went so far; `kept` is the network of the best epoch where there are validation figures."""

    history: list[Epoch]
    best: int
    kept: dict[str, Tensor]

    def add(self, epoch: Epoch, network: InterestNetwork) -> None:
        figure = epoch.validation_ndcg
        is_best = figure is None or self.best == 0 or figure > (self.history[self.best - 1].validation_ndcg or 0.0)
        self.history.append(epoch)
        if is_best:
            self.best = epoch.number
            self.kept = _copy(network) if figure is not None else self.kept


def _checkpoint(course: _Course, trainer: "Trainer") -> Checkpoint:
    facts = {"history": [asdict(epoch) for epoch in course.history], "best": course.best}
    return Checkpoint(trainer.state() | _prefixed(course.kept, _KEPT), facts)


def _resumed(checkpoint: Checkpoint, trainer: "Trainer") -> _Course:
    trainer.restore(checkpoint.tensors)
    history = [Epoch(**epoch) for epoch in checkpoint.facts["history"]]
    return _Course(history, int(checkpoint.facts["best"]), _below(checkpoint.tensors, _KEPT))


def best_epoch(history: tuple[Epoch, ...]) -> int:
    """The epoch with the highest validation figure, the first of equals; the last one where none was measured; 0 without epochs."""
    measured = [epoch for epoch in history if epoch.validation_ndcg is not None]
    return max(measured, key=lambda epoch: epoch.validation_ndcg or 0.0).number if measured else len(history)


def _copy(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in network.state_dict().items()}


def _prefixed(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {f"{prefix}{name}": tensor for name, tensor in tensors.items()}


def _below(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


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

    def state(self) -> dict[str, Tensor]:
        """Everything the next epoch depends on beside the arguments: parameters, Adam's moments and the generator."""
        moments = self.optimizer.state_dict()["state"]
        adam = {f"{number}/{name}": value for number, found in moments.items() for name, value in found.items()}
        return _prefixed(self.network.state_dict(), _NETWORK) | _prefixed(adam, _ADAM) | {_GENERATOR: self.generator.get_state()}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Go back to what `state` gave."""
        self.network.load_state_dict(_below(tensors, _NETWORK))
        moments: dict[int, dict[str, Tensor]] = {}
        for path, value in _below(tensors, _ADAM).items():
            number, name = path.split("/")
            moments.setdefault(int(number), {})[name] = value
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": moments})
        self.generator.set_state(tensors[_GENERATOR])

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
