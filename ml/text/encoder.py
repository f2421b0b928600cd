"""Texts to unit vectors with any Hugging Face model of one stack, fast on plain processors.

Here: clean, tokenise, run, pool, normalise. Finding weights is `ml.text.weights`,
remembering vectors is `ml.text.cache`. Shapes: N texts, M windows, B batch, T tokens, D dimension.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import pyarrow as pa
import torch

from ml.config.pipeline import TextConfig
from ml.errors import ConfigError
from ml.ids import BoolArray, FloatArray, IntArray
from ml.text.batches import TokenizedTexts, fixed_shape_batches, length_sorted_batches
from ml.text.hardware import Hardware, resolve_hardware
from ml.text.packing import Pack, first_position, packs, prepare_packing, run_pack
from ml.text.pooling import Pooling, pool, pool_packed
from ml.text.quantised import quantise
from ml.text.reduction import Projection, load_projection, reduce
from ml.text.space import EmbeddingSpace
from ml.text.vocabulary import unread_shares
from ml.text.weights import LoadedModel, ModelSource, find_model, load_model
from ml.text.windows import empty_id, pool_windows, split
from ml.words.cleaning import are_capped, clean_texts

Progress = Callable[[int, int], None]
Kind = Literal["document", "query"]

# Texts tokenised at once: bounds memory, and is enough for sorting to fill batches evenly.
_WINDOW = 8192
# Share of unknown characters beyond which two texts may have one vector whatever they say.
MAX_UNREAD_SHARE = 0.25


@dataclass(frozen=True)
class Encoded:
    """Unit vectors of N texts, float32, shape [N, D]; how many tokens each has, and how many of them were not read."""

    vectors_ND: FloatArray
    num_tokens_N: IntArray
    num_cut_N: IntArray


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

    def encode(self, texts: Sequence[str], *, kind: Kind = "document", progress: Progress | None = None) -> Encoded:
        """Vectors in the order of `texts`."""
        ...

    def reads(self, texts: Sequence[str]) -> BoolArray:
        """Which texts it can tell from others, shape [N]."""
        ...


def load_encoder(config: TextConfig) -> "TransformerEncoder":
    """Find, pin and load the configured model.

    Raises `ConfigError` for a model that is missing, unpinned, not safetensors or
    torn, for more tokens or numbers than it has, and for a device that is not there.
    """
    hardware = resolve_hardware(device=config.device, dtype=config.dtype)
    source = find_model(config.model, revision=config.revision)
    return encoder_of(
        load_model(source, dtype=hardware.torch_dtype, device=hardware.device), source=source, config=config, hardware=hardware
    )


def encoder_of(loaded: LoadedModel, *, source: ModelSource, config: TextConfig, hardware: Hardware) -> "TransformerEncoder":
    """An encoder of a network in memory, on `hardware` already; raises as `load_encoder` does for what it cannot give."""
    _require_room(loaded, source=source, max_tokens=config.max_tokens)
    projection = load_projection(Path(config.projection), dimension=loaded.config.hidden_size) if config.projection else None
    space = EmbeddingSpace(
        model=source.name,
        revision=source.revision,
        pooling=config.pooling,
        normalised=True,
        dimension=_dimension(config, loaded=loaded, projection=projection),
        max_tokens=config.max_tokens,
        dtype=hardware.dtype,
        max_windows=config.max_windows,
        prompt=config.prompt,
        query_prompt=config.query_prompt,
        projection=projection.name if projection else "",
    )
    if hardware.dtype == "int8":
        quantise(loaded.network)
    return TransformerEncoder(
        loaded,
        space=space,
        pooling=config.pooling,
        devices=_devices(hardware),
        batch_tokens=config.batch_tokens,
        projection=projection,
    )


class TransformerEncoder:
    """A loaded model, on a processor or on every card. `space.dtype` says what `auto` came to."""

    def __init__(
        self,
        loaded: LoadedModel,
        *,
        space: EmbeddingSpace,
        pooling: Pooling,
        devices: Sequence[str],
        batch_tokens: int,
        projection: Projection | None = None,
    ) -> None:
        copies = [loaded.network, *(deepcopy(loaded.network) for _ in devices[1:])]
        self._networks = [(device, network.to(device)) for device, network in zip(devices, copies, strict=True)]
        self._tokenizer = loaded.tokenizer
        self._pooling = pooling
        self._batch_tokens = batch_tokens
        self._projection = projection
        self._hidden_size = int(loaded.config.hidden_size)
        self._first_position = first_position(loaded.network)
        self.space = space
        self.device = devices[0]
        # Ids from all over the vocabulary, past the special ones.
        ids = np.linspace(loaded.config.vocab_size // 2, loaded.config.vocab_size - 1, num=997).astype(np.int64)
        self.packs_texts = self.device == "cpu" and prepare_packing(loaded.network, longest=space.max_tokens, ids=ids)

    @property
    def dimension(self) -> int:
        """Numbers per vector."""
        return self.space.dimension

    def encode(self, texts: Sequence[str], *, kind: Kind = "document", progress: Progress | None = None) -> Encoded:
        """Unit vectors in the order of `texts`, cleaned, with the prompt of their kind before them.

        Identical texts are encoded once; an empty text gives the vector of the
        model's own empty sequence. On a processor the vector of a text is bit for bit
        the same whatever the other texts, their order and the split into calls, on one
        machine and thread count; on CUDA it depends on them by rounding. `progress`
        counts distinct texts. Raises `ConfigError` if the model overflows its number type.
        """
        distinct = list(dict.fromkeys(texts))
        row_of = {text: row for row, text in enumerate(distinct)}
        parts = [
            self._encode_window(distinct[start : start + _WINDOW], kind=kind, progress=shifted(progress, before=start, total=len(distinct)))
            for start in range(0, len(distinct), _WINDOW)
        ]
        rows = np.fromiter((row_of[text] for text in texts), dtype=np.int64, count=len(texts))
        nothing = Encoded(np.zeros((0, self.dimension), np.float32), np.zeros(0, np.int64), np.zeros(0, np.int64))
        return Encoded(
            np.concatenate([part.vectors_ND for part in (nothing, *parts)])[rows],
            np.concatenate([part.num_tokens_N for part in (nothing, *parts)])[rows],
            np.concatenate([part.num_cut_N for part in (nothing, *parts)])[rows],
        )

    def reads(self, texts: Sequence[str]) -> BoolArray:
        """Which texts the tokenizer knows but for a quarter of their characters, shape [N]: vectors of others say next to nothing."""
        cleaned = clean_texts(pa.array(texts, pa.string())).to_pylist()
        return np.asarray(unread_shares(cleaned, tokenizer=self._tokenizer) <= MAX_UNREAD_SHARE)

    def _encode_window(self, texts: Sequence[str], *, kind: Kind, progress: Progress | None) -> Encoded:
        prompt = self.space.query_prompt if kind == "query" else self.space.prompt
        cleaned = [prompt + text for text in clean_texts(pa.array(texts, pa.string())).to_pylist()]
        windows = split(cleaned, tokenizer=self._tokenizer, max_tokens=self.space.max_tokens, max_windows=self.space.max_windows)
        vectors_MH = self._run(windows.tokens, progress=progress, num_texts=len(texts))
        self._require_finite(vectors_MH)
        vectors_NH = pool_windows(vectors_MH, windows)
        # Of a text that was too long to be cleaned whole at least a token is missing.
        num_cut_N = np.maximum(windows.num_cut_N, are_capped(pa.array(texts, pa.string())))
        return Encoded(reduce(vectors_NH, projection=self._projection, dimension=self.dimension), windows.num_tokens_N, num_cut_N)

    def _run(self, tokens: TokenizedTexts, *, progress: Progress | None, num_texts: int) -> FloatArray:
        """Unit vectors of every window, shape [M, hidden size]."""
        vectors_MH = np.zeros((len(tokens.lengths), self._hidden_size), dtype=np.float32)
        batches = list(self._batches(tokens.lengths))
        done = 0
        for batch, found_BH in zip(batches, self._on_every_card(tokens, batches), strict=True):
            rows = batch.rows if isinstance(batch, Pack) else batch
            vectors_MH[rows] = found_BH
            done += len(np.unique(rows))
            if progress is not None:
                progress(done * num_texts // len(tokens.lengths), num_texts)
        return vectors_MH

    def _on_every_card(self, tokens: TokenizedTexts, batches: Sequence[Pack | IntArray]) -> Iterator[FloatArray]:
        """The vectors of each batch, in order; cards take turns, a processor does all."""
        cards = [self._networks[place % len(self._networks)] for place in range(len(batches))]
        if len(self._networks) == 1:
            yield from map(self._vectors, repeat(tokens), batches, cards)
            return
        with ThreadPoolExecutor(len(self._networks)) as workers:
            yield from workers.map(self._vectors, repeat(tokens), batches, cards)

    def _batches(self, lengths: IntArray) -> Iterator[Pack | IntArray]:
        if self.packs_texts:
            return packs(lengths, longest=self.space.max_tokens)
        # Filled-up small batches would leave an accelerator idle, and its rounding is no promise anyway.
        if self.device == "cpu":
            return fixed_shape_batches(lengths)
        return length_sorted_batches(lengths, batch_tokens=self._batch_tokens)

    def _vectors(self, tokens: TokenizedTexts, batch: Pack | IntArray, card: tuple[str, torch.nn.Module]) -> FloatArray:
        with torch.inference_mode():
            pooled_BH = self._pack(tokens, batch, card[1]) if isinstance(batch, Pack) else self._padded(tokens, batch, card)
            vectors: FloatArray = torch.nn.functional.normalize(pooled_BH, dim=1).cpu().numpy()
        return vectors

    def _pack(self, tokens: TokenizedTexts, batch: Pack, network: torch.nn.Module) -> torch.Tensor:
        hidden_TH = run_pack(network, batch, tokens=tokens, first_position=self._first_position, filler_id=empty_id(self._tokenizer))
        return pool_packed(hidden_TH, lengths=tokens.lengths[batch.rows], pooling=self._pooling)

    def _padded(self, tokens: TokenizedTexts, rows: IntArray, card: tuple[str, torch.nn.Module]) -> torch.Tensor:
        device, network = card
        # Padded on the right whatever the tokenizer prefers: positions then start at 0 in every architecture.
        ids_BT, mask_BT = tokens.padded(rows, padding_id=self._tokenizer.pad_token_id or 0)
        ids, mask = (_on(device, torch.from_numpy(array)) for array in (ids_BT, mask_BT))
        # Without padding attention needs no mask, and is faster without one.
        hidden_BTH = network(input_ids=ids, attention_mask=None if mask_BT.all() else mask.long()).last_hidden_state
        return pool(hidden_BTH, mask_BT=mask, pooling=self._pooling)

    def _require_finite(self, vectors_ND: FloatArray) -> None:
        if not np.isfinite(vectors_ND).all():
            raise ConfigError(
                f"text.model {self.space.model} gives vectors that are not finite in {self.space.dtype}; set text.dtype to float32"
            )


def _on(device: str, tensor: torch.Tensor) -> torch.Tensor:
    """Sent without waiting where the device can read pinned memory."""
    return tensor.pin_memory().to(device, non_blocking=True) if device != "cpu" else tensor


def shifted(progress: Progress | None, *, before: int, total: int) -> Progress | None:
    """The same told of a part that begins behind `before` of `total` texts."""
    return None if progress is None else lambda done, _: progress(before + done, total)


def _devices(hardware: Hardware) -> list[str]:
    return [f"cuda:{card}" for card in range(torch.cuda.device_count())] if hardware.device == "cuda" else ["cpu"]


def _dimension(config: TextConfig, *, loaded: LoadedModel, projection: Projection | None) -> int:
    given = projection.components_DK.shape[1] if projection else int(loaded.config.hidden_size)
    if config.dimension is None:
        return int(given)
    if projection is not None or config.dimension > given:
        what = "text.projection says how many numbers there are" if projection else f"the model gives {given}"
        raise ConfigError(f"text.dimension is {config.dimension}, but {what}; leave it out or lower it")
    return config.dimension


def _require_room(loaded: LoadedModel, *, source: ModelSource, max_tokens: int) -> None:
    limits = [loaded.tokenizer.model_max_length, getattr(loaded.config, "max_position_embeddings", None)]
    limit = min(int(known) for known in limits if known)
    if max_tokens > limit:
        raise ConfigError(f"text.max_tokens is {max_tokens}, but {source.name} reads at most {limit} tokens; lower it")
