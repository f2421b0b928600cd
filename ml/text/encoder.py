"""Texts to unit vectors with any Hugging Face model of one stack, fast on plain processors.

Here: tokenise, batch, run, pool, normalise. Finding weights is `ml.text.weights`,
remembering vectors is `ml.text.cache`. Shapes: N texts, B batch, T tokens, D dimension.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import torch

from ml.config.pipeline import TextConfig
from ml.errors import ConfigError
from ml.ids import FloatArray, IntArray
from ml.text.batches import TokenizedTexts, fixed_shape_batches, length_sorted_batches
from ml.text.hardware import resolve_hardware
from ml.text.pooling import Pooling, pool
from ml.text.space import EmbeddingSpace
from ml.text.weights import LoadedModel, ModelSource, find_model, load_model

Progress = Callable[[int, int], None]

# Texts tokenised at once: bounds memory, and is enough for sorting to fill batches evenly.
_WINDOW = 8192


class Encoder(Protocol):
    """Anything that turns texts into unit vectors of one embedding space."""

    @property
    def space(self) -> EmbeddingSpace:
        """The space of its vectors."""
        ...

    @property
    def dimension(self) -> int:
        """Numbers per vector."""
        ...

    def encode(self, texts: Sequence[str], *, progress: Progress | None = None) -> FloatArray:
        """Unit vectors in the order of `texts`, float32, shape [N, D]."""
        ...


def load_encoder(config: TextConfig) -> "TransformerEncoder":
    """Find, pin and load the configured model.

    Raises `ConfigError` for a model that is missing, unpinned, not safetensors or
    torn, for more tokens than it can read, and for a device that is not there.
    """
    hardware = resolve_hardware(device=config.device, dtype=config.dtype)
    source = find_model(config.model, revision=config.revision)
    loaded = load_model(source, dtype=hardware.torch_dtype, device=hardware.device)
    _require_room(loaded, source=source, max_tokens=config.max_tokens)
    space = EmbeddingSpace(
        model=source.name,
        revision=source.revision,
        pooling=config.pooling,
        normalised=True,
        dimension=int(loaded.config.hidden_size),
        max_tokens=config.max_tokens,
        dtype=hardware.dtype,
    )
    return TransformerEncoder(loaded, space=space, pooling=config.pooling, device=hardware.device, batch_tokens=config.batch_tokens)


class TransformerEncoder:
    """A loaded model. `device` and `space.dtype` say what `auto` came to."""

    def __init__(self, loaded: LoadedModel, *, space: EmbeddingSpace, pooling: Pooling, device: str, batch_tokens: int) -> None:
        self._network = loaded.network
        self._tokenizer = loaded.tokenizer
        self._pooling = pooling
        self._batch_tokens = batch_tokens
        self.space = space
        self.device = device

    @property
    def dimension(self) -> int:
        """Numbers per vector."""
        return self.space.dimension

    def encode(self, texts: Sequence[str], *, progress: Progress | None = None) -> FloatArray:
        """Unit vectors in the order of `texts`, float32, shape [N, D].

        Identical texts are encoded once; an empty text gives the vector of the
        model's own empty sequence. On a processor the vector of a text is bit for bit
        the same whatever the other texts, their order and the split into calls, on one
        machine and thread count; on CUDA it depends on them by rounding. `progress`
        counts distinct texts. Raises `ConfigError` if the model overflows its number type.
        """
        distinct = list(dict.fromkeys(texts))
        row_of = {text: row for row, text in enumerate(distinct)}
        vectors_ND = np.empty((len(distinct), self.dimension), dtype=np.float32)
        for start in range(0, len(distinct), _WINDOW):
            window = distinct[start : start + _WINDOW]
            tokens = self._tokenize(window)
            done = start
            for rows in self._batches(tokens.lengths):
                vectors_ND[start + rows] = self._encode_batch(tokens, rows)
                done += len(np.unique(rows))
                if progress is not None:
                    progress(done, len(distinct))
        self._require_finite(vectors_ND)
        return vectors_ND[[row_of[text] for text in texts]] if len(distinct) < len(texts) else vectors_ND

    def _batches(self, lengths: IntArray) -> Iterator[IntArray]:
        # Filled-up small batches would leave an accelerator idle, and its rounding is no promise anyway.
        if self.device == "cpu":
            return fixed_shape_batches(lengths)
        return length_sorted_batches(lengths, batch_tokens=self._batch_tokens)

    def _tokenize(self, texts: Sequence[str]) -> TokenizedTexts:
        encoded = self._tokenizer(
            list(texts), truncation=True, max_length=self.space.max_tokens, return_attention_mask=False, return_token_type_ids=False
        )
        return TokenizedTexts.from_lists(encoded["input_ids"], empty_id=_empty_id(self._tokenizer))

    def _encode_batch(self, tokens: TokenizedTexts, rows: IntArray) -> FloatArray:
        # Padded on the right whatever the tokenizer prefers: positions then start at 0 in every architecture.
        ids_BT, mask_BT = tokens.padded(rows, padding_id=self._tokenizer.pad_token_id or 0)
        with torch.inference_mode():
            mask = torch.from_numpy(mask_BT).to(self.device)
            # Without padding attention needs no mask, and is faster without one.
            attention_mask = None if mask_BT.all() else mask.long()
            hidden_BTD = self._network(input_ids=torch.from_numpy(ids_BT).to(self.device), attention_mask=attention_mask).last_hidden_state
            pooled_BD = pool(hidden_BTD, mask_BT=mask, pooling=self._pooling)
            vectors: FloatArray = torch.nn.functional.normalize(pooled_BD, dim=1).cpu().numpy()
        return vectors

    def _require_finite(self, vectors_ND: FloatArray) -> None:
        if not np.isfinite(vectors_ND).all():
            raise ConfigError(
                f"text.model {self.space.model} gives vectors that are not finite in {self.space.dtype}; set text.dtype to float32"
            )


def _empty_id(tokenizer: Any) -> int:
    for name in ("eos_token_id", "cls_token_id", "bos_token_id", "unk_token_id", "pad_token_id"):
        found = getattr(tokenizer, name)
        if found is not None:
            return int(found)
    return 0


def _require_room(loaded: LoadedModel, *, source: ModelSource, max_tokens: int) -> None:
    limits = [loaded.tokenizer.model_max_length, getattr(loaded.config, "max_position_embeddings", None)]
    limit = min(int(known) for known in limits if known)
    if max_tokens > limit:
        raise ConfigError(f"text.max_tokens is {max_tokens}, but {source.name} reads at most {limit} tokens; lower it")
