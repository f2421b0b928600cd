"""One optimiser over an encoder: steps over batches of pairs, in bounded memory.

A batch that does not fit is worked on in chunks, with the loss's gradients kept between them (GradCache, Gao et al.,
arXiv 2101.06983): how many pairs are told apart at once does not depend on the memory. Dropout is off, so that
both passes give the same. Shapes: N pairs, B pairs of a batch, M texts of a batch, D dimension.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from ml.config.pipeline import FinetuningConfig
from ml.errors import ConfigError
from ml.finetuning.contrast import contrastive_loss
from ml.ids import IntArray
from ml.text.batches import TokenizedTexts, length_sorted_batches
from ml.text.pooling import Pooling, pool

_WARM_UP_SHARE = 0.1
_LARGEST_GRADIENT = 1.0


@dataclass(frozen=True)
class TrainingPairs:
    """N pairs by positions of their texts among `tokens`, which are distinct, and the kind of each."""

    tokens: TokenizedTexts
    anchor_N: IntArray
    document_N: IntArray
    kind_N: IntArray

    def __len__(self) -> int:
        return len(self.anchor_N)


class PairTrainer:
    """AdamW over a network; `pooling` makes one vector of a text as the encoder does.

    `num_known_tokens` are those before the new ones, whose vectors have far to go; None: no token is new.
    """

    def __init__(
        self,
        network: nn.Module,
        pairs: TrainingPairs,
        *,
        config: FinetuningConfig,
        pooling: Pooling,
        padding_id: int,
        in_bfloat16: bool,
        num_known_tokens: int | None,
        generator: torch.Generator,
    ) -> None:
        self.network, self.generator = network.eval(), generator
        self._pairs, self._config, self._pooling, self._padding_id = pairs, config, pooling, padding_id
        self._device = next(network.parameters()).device
        self._in_bfloat16 = in_bfloat16
        self._num_steps = config.epochs * sum(1 for _ in batches(pairs.kind_N, size=config.batch_size, generator=torch.Generator()))
        self._vectors_VD: Tensor = network.get_input_embeddings().weight  # type: ignore[operator]
        self._num_known = num_known_tokens
        rate = config.learning_rate if num_known_tokens is None else config.new_token_learning_rate
        self.optimizer = torch.optim.AdamW(_groups(network, self._vectors_VD, config=config, token_rate=rate))
        self._rates = [float(group["lr"]) for group in self.optimizer.param_groups]

    def epoch(self) -> float:
        """One pass over all pairs; the mean loss."""
        total = 0.0
        for batch in batches(self._pairs.kind_N, size=self._config.batch_size, generator=self.generator):
            total += self.step(batch) * len(batch)
        return total / len(self._pairs)

    def step(self, batch: IntArray) -> float:
        """One update; the loss before it."""
        self.optimizer.zero_grad(set_to_none=True)
        texts = np.concatenate([self._pairs.anchor_N[batch], self._pairs.document_N[batch]])
        lengths = self._pairs.tokens.lengths[texts]
        chunks = list(length_sorted_batches(lengths, batch_tokens=self._config.batch_tokens))
        fits = int(lengths.sum()) <= self._config.batch_tokens
        with torch.set_grad_enabled(fits):
            vectors_MD = torch.cat([self._vectors(texts[chunk]) for chunk in chunks])
        if not fits:
            vectors_MD.requires_grad_()
        loss = self._loss(batch, vectors_MD[torch.from_numpy(np.argsort(np.concatenate(chunks), kind="stable"))])
        if not torch.isfinite(loss):
            raise ConfigError("fine-tuning runs away: its loss is not finite; lower finetuning.learning_rate or new_token_learning_rate")
        loss.backward()  # type: ignore[no-untyped-call]
        if not fits:
            self._carry_back(torch.as_tensor(vectors_MD.grad), [texts[chunk] for chunk in chunks])
        self._update()
        return float(loss.detach())

    def _update(self) -> None:
        """One step; vectors of known tokens go as far as everything else, only those of new ones have far to go."""
        self._set_rates()
        nn.utils.clip_grad_norm_(self.network.parameters(), _LARGEST_GRADIENT)
        if self._num_known is None:
            self.optimizer.step()
            return
        before_VD = self._vectors_VD.detach()[: self._num_known].clone()
        self.optimizer.step()
        with torch.no_grad():
            self._vectors_VD[: self._num_known].sub_(before_VD).mul_(self._rates[0] / self._rates[1]).add_(before_VD)

    def _carry_back(self, gradient_MD: Tensor, chunks: list[IntArray]) -> None:
        """From the vectors' gradients to the weights', a chunk at a time."""
        for chunk, gradient in zip(chunks, torch.split(gradient_MD, list(map(len, chunks))), strict=True):
            self._vectors(chunk).backward(gradient)  # type: ignore[no-untyped-call]

    def _loss(self, batch: IntArray, vectors_MD: Tensor) -> Tensor:
        anchor_B, document_B = self._pairs.anchor_N[batch], self._pairs.document_N[batch]
        alike_BB = (anchor_B[:, None] == anchor_B) | (document_B[:, None] == document_B)
        return contrastive_loss(
            vectors_MD[: len(batch)],
            vectors_MD[len(batch) :],
            alike_BB=torch.from_numpy(alike_BB).to(self._device),
            temperature=self._config.temperature,
        )

    def _vectors(self, texts: IntArray) -> Tensor:
        """Unit vectors of some texts, float32, shape [len(texts), D]."""
        padded = self._pairs.tokens.padded(texts, padding_id=self._padding_id)
        ids_BT, mask_BT = (torch.from_numpy(array).to(self._device) for array in padded)
        with torch.autocast(self._device.type, dtype=torch.bfloat16, enabled=self._in_bfloat16):
            hidden_BTD = self.network(input_ids=ids_BT, attention_mask=mask_BT.long()).last_hidden_state
        return nn.functional.normalize(pool(hidden_BTD, mask_BT=mask_BT, pooling=self._pooling), dim=1)

    def _set_rates(self) -> None:
        """Rising to its peak over the first steps, then falling to 0; told by the optimiser's own count, which a checkpoint keeps."""
        states = list(self.optimizer.state.values())
        place = (int(states[0]["step"]) + 1) / (self._num_steps + 1) if states else 1 / (self._num_steps + 1)
        factor = min(place / _WARM_UP_SHARE, (1 - place) / (1 - _WARM_UP_SHARE))
        for group, rate in zip(self.optimizer.param_groups, self._rates, strict=True):
            group["lr"] = rate * max(factor, 0.0)


def batches(kind_N: IntArray, *, size: int, generator: torch.Generator) -> Iterator[IntArray]:
    """Positions of each batch in random order, all of one kind: what kind a text is must not tell it from others.

    Every pair is in one batch; one that is left alone in its batch joins the one before.
    """
    order = torch.randperm(len(kind_N), generator=generator).numpy()
    found = []
    for kind in np.unique(kind_N):
        members = order[kind_N[order] == kind]
        num_batches = max(1, len(members) // size)
        found += np.array_split(members, num_batches)
    for place in torch.randperm(len(found), generator=generator).tolist():
        yield found[place]


def _groups(network: nn.Module, vectors_VD: Tensor, *, config: FinetuningConfig, token_rate: float) -> list[dict[str, object]]:
    """Parameters with their step sizes: vectors of tokens apart, because new ones know nothing yet."""
    others = [parameter for parameter in network.parameters() if parameter is not vectors_VD]
    return [
        {"params": others, "lr": config.learning_rate, "weight_decay": config.regularization},
        {"params": [vectors_VD], "lr": token_rate, "weight_decay": 0.0},
    ]
