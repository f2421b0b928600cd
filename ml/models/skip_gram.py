"""Skip-gram with negative sampling over random walks: a node's vector says what is met around it.

Mikolov et al., "Distributed representations of words and phrases", NeurIPS 2013, one negative a pair in
expectation, estimated from many that a batch shares. Walks are `walks`'. Shapes: N nodes, D embedding
size, W walkers, L walk length, P pairs of a step, K negatives.
"""

from collections.abc import Iterator

import torch
from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor, nn

from ml.epochs.course import Epoch, Progress, run_epochs
from ml.ids import FloatArray
from ml.models.gnn.fitting import rows
from ml.models.walks import WalkGraph, walks

# Frequent nodes are negatives less than in proportion more often: word2vec's choice.
_NEGATIVE_POWER = 0.75


class Node2VecSettings(BaseModel):
    """What walks and vectors are like; walkers x length x window bounds the work of an epoch."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    embedding_size: PositiveInt = Field(64, description="dimensions of a node's vector")
    walks_per_node: PositiveInt = Field(4, description="walks from every node with an edge, per epoch")
    walk_length: int = Field(12, ge=2, description="nodes on a walk")
    window: PositiveInt = Field(3, description="steps before and after a node that are its surroundings")
    p: float = Field(1.0, ge=0.05, le=20, description="reluctance to step back at once; the chance to is weighed by 1/p")
    q: float = Field(1.0, ge=0.05, le=20, description="reluctance to leave the surroundings of the node before; weighed by 1/q")
    num_negatives: PositiveInt = Field(256, description="sampled nodes per step that were not met, shared by the batch")
    epochs: PositiveInt = Field(5, description="times that all walks are walked anew")
    batch_size: PositiveInt = Field(16384, description="pairs of nodes met together per step")
    learning_rate: PositiveFloat = Field(0.01, description="Adam step size")
    edge_weight_power: NonNegativeFloat = Field(0.1, description="power of a faded like as an edge; 0: all likes count the same")


class SkipGram(nn.Module):
    """Two vectors per node: as the centre, and as what is around one."""

    def __init__(self, connected: Tensor, *, num_nodes: int, size: int, generator: torch.Generator) -> None:
        """Centres start at random and surroundings at 0, as in word2vec; nodes without an edge stay at 0."""
        super().__init__()
        center_ND, around_ND = torch.zeros(num_nodes, size), torch.zeros(num_nodes, size)
        center_ND[connected] = (torch.rand(len(connected), size, generator=generator) - 0.5) / size**0.5
        self.center_ND, self.around_ND = nn.Parameter(center_ND), nn.Parameter(around_ND)

    def forward(self, center_P: Tensor, around_P: Tensor, negative_K: Tensor) -> Tensor:
        """Mean over the pairs of `-log s(c . o) - mean over negatives of log s(-c . o')`, a scalar."""
        centers_PD = rows(self.center_ND, center_P)
        met_P = (centers_PD * rows(self.around_ND, around_P)).sum(dim=1)
        others_PK = centers_PD @ rows(self.around_ND, negative_K).T
        softplus = nn.functional.softplus
        return (softplus(-met_P) + softplus(others_PK).mean(dim=1)).mean()

    def vectors(self) -> tuple[FloatArray, FloatArray]:
        """Centres and surroundings, shape [N, D] each."""
        return self.center_ND.detach().numpy(), self.around_ND.detach().numpy()


def train_skip_gram(
    graph: WalkGraph, *, settings: Node2VecSettings, generator: torch.Generator, progress: Progress | None = None
) -> tuple[SkipGram, tuple[Epoch, ...]]:
    """A trained network and how its loss went; a graph without edges leaves nothing to learn."""
    num_nodes = len(graph.start_N) - 1
    network = SkipGram(graph.connected, num_nodes=num_nodes, size=settings.embedding_size, generator=generator)
    if not len(graph.connected):
        return network, ()
    trainer = SkipGramTrainer(network, graph, settings, generator)
    return network, run_epochs(trainer, epochs=settings.epochs, patience=settings.epochs, progress=progress)


class SkipGramTrainer:
    """One optimiser over one network; every epoch walks anew."""

    def __init__(self, network: SkipGram, graph: WalkGraph, settings: Node2VecSettings, generator: torch.Generator) -> None:
        self.network, self.graph, self.settings, self.generator = network, graph, settings, generator
        self.optimizer = torch.optim.Adam(network.parameters(), lr=settings.learning_rate)
        self._running_share_N = torch.cumsum(graph.weighted_degree_N**_NEGATIVE_POWER, dim=0)

    def epoch(self) -> float:
        """All walks once; the mean loss."""
        total, num_walks = 0.0, 0
        for walk_WL in self._walks():
            center_P, around_P = pairs(walk_WL, window=self.settings.window)
            total += float(self.step(center_P, around_P)) * len(walk_WL)
            num_walks += len(walk_WL)
        return total / num_walks

    def step(self, center_P: Tensor, around_P: Tensor) -> Tensor:
        """One update; the loss before it, detached."""
        loss: Tensor = self.network(center_P, around_P, self._negatives())
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        return loss.detach()

    def _walks(self) -> Iterator[Tensor]:
        """Walks from every node with an edge in random order, as many at once as make a batch of pairs."""
        settings = self.settings
        start_W = self.graph.connected.repeat(settings.walks_per_node)
        start_W = start_W[torch.randperm(len(start_W), generator=self.generator)]
        per_walk = 2 * sum(max(settings.walk_length - gap, 0) for gap in range(1, settings.window + 1))
        for some_W in torch.split(start_W, max(settings.batch_size // per_walk, 1)):
            yield walks(self.graph, some_W, length=settings.walk_length, p=settings.p, q=settings.q, generator=self.generator)

    def _negatives(self) -> Tensor:
        """Nodes drawn by weighted degree, how often walks pass them, to word2vec's power, shape [K]; one without an edge never."""
        chance_K = torch.rand(self.settings.num_negatives, dtype=torch.float64, generator=self.generator)
        return torch.searchsorted(self._running_share_N, chance_K * self._running_share_N[-1], right=True)


def pairs(walk_WL: Tensor, *, window: int) -> tuple[Tensor, Tensor]:
    """Every two nodes at most `window` steps apart on a walk, each once as the centre, shape [P]."""
    gaps = range(1, min(window, walk_WL.shape[1] - 1) + 1)
    early_P = torch.cat([walk_WL[:, :-gap].reshape(-1) for gap in gaps])
    late_P = torch.cat([walk_WL[:, gap:].reshape(-1) for gap in gaps])
    return torch.cat([early_P, late_P]), torch.cat([late_P, early_P])
