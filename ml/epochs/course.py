"""The course of a training: a figure per epoch, early stopping, the best epoch kept, checkpoints.

What an epoch does is the trainer's business; `ml.models.gnn.fitting` and `ml.finetuning.trainer` hold one each.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from ml.epochs.checkpoints import Checkpoint, Checkpoints
from ml.epochs.processes import first_figure, is_first, require_same_epoch, wait_for_all

Progress = Callable[[int, int], None]

# Parts of a checkpoint.
_NETWORK, _OPTIMIZER, _GENERATOR, _KEPT = "network/", "adam/", "generator", "best/"


@dataclass(frozen=True)
class Epoch:
    """What one pass gave: mean loss in nats, and a figure of quality on the validation slice where there is one."""

    number: int
    loss: float
    validation: float | None


AfterEpoch = Callable[[Epoch], None]


class Trainer(Protocol):
    """One optimiser over one network; `epoch` makes a pass and returns its mean loss."""

    @property
    def network(self) -> nn.Module:
        """What is trained."""
        ...

    @property
    def optimizer(self) -> torch.optim.Optimizer:
        """What trains it."""
        ...

    @property
    def generator(self) -> torch.Generator:
        """Where its chance comes from."""
        ...

    def epoch(self) -> float:
        """One pass over everything."""
        ...


def run_epochs(
    trainer: Trainer,
    *,
    epochs: int,
    patience: int,
    validate: Callable[[], float] | None = None,
    checkpoints: Checkpoints | None = None,
    progress: Progress | None = None,
    start: float | None = None,
    after_epoch: AfterEpoch | None = None,
) -> tuple[Epoch, ...]:
    """Train in place; with `validate`, stop after `patience` epochs without gain and go back to the best.

    `start` is the figure before the first epoch: where no epoch passes it, the network is again as it was.
    With `checkpoints`, where training stands is written after every epoch, and read first: a fit that
    was killed goes on to the bits it would have had. In several processes (`ml.epochs.processes`) all
    stop at the same epoch, by the figures of the first, which alone writes checkpoints. `after_epoch` is
    given every epoch; what it raises ends the training and comes out here, the network being as the epoch left it.
    """
    device = next(trainer.network.parameters()).device
    checkpoint = _newest(checkpoints) if checkpoints else None
    require_same_epoch(len(checkpoint.facts["history"]) if checkpoint else 0, device=device)
    course = _resumed(checkpoint, trainer) if checkpoint else _Course([], 0, _copy(trainer.network), start)
    history = course.history
    while len(history) < epochs and len(history) - course.best < patience:
        loss = trainer.epoch()
        figure = first_figure(validate(), device=device) if validate else None
        course.add(Epoch(len(history) + 1, loss, figure), trainer.network)
        if checkpoints is not None and is_first():
            checkpoints.write(len(history), _checkpoint(course, trainer))
        if progress is not None:
            progress(len(history), epochs)
        if after_epoch is not None:
            after_epoch(history[-1])
    if validate and history:
        trainer.network.load_state_dict(course.kept)
    return tuple(history)


def best_epoch(history: tuple[Epoch, ...]) -> int:
    """The epoch with the highest validation figure, the first of equals; the last one where none was measured; 0 without epochs."""
    measured = [epoch for epoch in history if epoch.validation is not None]
    return max(measured, key=lambda epoch: epoch.validation or 0.0).number if measured else len(history)


@dataclass
class _Course:
    """How training went so far; `kept` is the network of the best epoch where there are validation figures."""

    history: list[Epoch]
    best: int
    kept: dict[str, Tensor]
    best_figure: float | None

    def add(self, epoch: Epoch, network: nn.Module) -> None:
        self.history.append(epoch)
        if epoch.validation is not None and not math.isfinite(epoch.validation):
            raise ArithmeticError(f"the validation figure of epoch {epoch.number} is {epoch.validation}: training has diverged")
        if epoch.validation is None:
            self.best = epoch.number
        elif self.best_figure is None or epoch.validation > self.best_figure:
            self.best, self.best_figure, self.kept = epoch.number, epoch.validation, _copy(network)


def _newest(checkpoints: Checkpoints) -> Checkpoint | None:
    """As `Checkpoints.newest`; the first process reads first, so that the others find nothing left to remove."""
    found = checkpoints.newest() if is_first() else None
    wait_for_all()
    return found if is_first() else checkpoints.newest()


def _checkpoint(course: _Course, trainer: Trainer) -> Checkpoint:
    facts = {"history": [asdict(epoch) for epoch in course.history], "best": course.best, "best_figure": course.best_figure}
    moments = trainer.optimizer.state_dict()["state"]
    adam = {f"{number}/{name}": value for number, found in moments.items() for name, value in found.items()}
    state = _prefixed(trainer.network.state_dict(), _NETWORK) | _prefixed(adam, _OPTIMIZER)
    return Checkpoint(state | {_GENERATOR: trainer.generator.get_state()} | _prefixed(course.kept, _KEPT), facts)


def _resumed(checkpoint: Checkpoint, trainer: Trainer) -> _Course:
    trainer.network.load_state_dict(_below(checkpoint.tensors, _NETWORK))
    moments: dict[int, dict[str, Tensor]] = {}
    for path, value in _below(checkpoint.tensors, _OPTIMIZER).items():
        number, name = path.split("/")
        moments.setdefault(int(number), {})[name] = value
    trainer.optimizer.load_state_dict({**trainer.optimizer.state_dict(), "state": moments})
    trainer.generator.set_state(checkpoint.tensors[_GENERATOR])
    facts = checkpoint.facts
    history = [Epoch(**epoch) for epoch in facts["history"]]
    return _Course(history, int(facts["best"]), _below(checkpoint.tensors, _KEPT), facts["best_figure"])


def _copy(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in network.state_dict().items()}


def _prefixed(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {f"{prefix}{name}": tensor for name, tensor in tensors.items()}


def _below(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
