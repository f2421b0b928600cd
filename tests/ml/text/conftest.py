"""The real default encoder once per session, and a small one built on the fly."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ml.config.pipeline import TextConfig
from ml.text.encoder import Encoded, Kind, Progress, TransformerEncoder, load_encoder
from ml.text.space import EmbeddingSpace

from .tiny_models import write_tiny_model


@pytest.fixture(scope="session")
def minilm() -> TransformerEncoder:
    """The default model in float32, whatever processor this is."""
    return load_encoder(TextConfig(dtype="float32", device="cpu"))


@pytest.fixture(scope="session")
def minilm_bfloat16() -> TransformerEncoder:
    return load_encoder(TextConfig(dtype="bfloat16", device="cpu"))


@pytest.fixture
def tiny_model(tmp_path: Path) -> Callable[..., Path]:
    """Writes a random model of a kind ("bert" or "llama") to a folder, as `save_pretrained` does."""

    def write(kind: str = "bert", *, name: str | None = None, **settings: Any) -> Path:
        return write_tiny_model(tmp_path / (name or f"tiny-{kind}"), kind=kind, **settings)

    return write


class HashEncoder:
    """Unit vectors made of a text's own hash: no model, and it counts what it is asked."""

    def __init__(self, *, model: str = "hash", dimension: int = 8) -> None:
        self.space = EmbeddingSpace(
            model=model, revision="1", pooling="mean", normalised=True, dimension=dimension, max_tokens=16, dtype="float32"
        )
        self.dimension = dimension
        self.seen: list[str] = []

    def encode(self, texts: Sequence[str], *, kind: Kind = "document", progress: Progress | None = None) -> Encoded:
        self.seen.extend(texts)
        seeds = [int(hashlib.sha256((self.space.model + kind + text).encode()).hexdigest()[:8], 16) for text in texts]
        rows = np.stack([np.random.default_rng(seed).normal(size=self.dimension) for seed in seeds])
        if progress is not None:
            progress(len(texts), len(texts))
        vectors_ND = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
        lengths_N = np.array([len(text) for text in texts])
        return Encoded(vectors_ND, lengths_N, np.maximum(lengths_N - self.space.max_tokens, 0))

    def reads(self, texts: Sequence[str]) -> np.ndarray:
        """Everything but question marks."""
        return np.array([set(text) != {"?"} for text in texts])


@pytest.fixture(scope="session")
def hash_encoder() -> type[HashEncoder]:
    return HashEncoder
