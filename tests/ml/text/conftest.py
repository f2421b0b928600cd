"""The real default encoder once per session, and a small one built on the fly."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import BertConfig, BertModel, LlamaConfig, LlamaModel, PreTrainedTokenizerFast

from ml.config.pipeline import TextConfig
from ml.text.encoder import Encoded, Kind, Progress, TransformerEncoder, load_encoder
from ml.text.space import EmbeddingSpace

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "warm", "wool", "hat", "sea", "salt", "boat", "trail", "boot"]


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

    def write(kind: str = "bert", *, seed: int = 0, name: str | None = None, padding_side: str = "right") -> Path:
        folder = tmp_path / (name or f"tiny-{kind}")
        torch.manual_seed(seed)
        sizes = {
            "vocab_size": len(WORDS),
            "hidden_size": 16,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "intermediate_size": 32,
            "max_position_embeddings": 32,
        }
        model = BertModel(BertConfig(**sizes)) if kind == "bert" else LlamaModel(LlamaConfig(**sizes))
        model.save_pretrained(folder)
        _tokenizer(with_special_tokens=kind == "bert", padding_side=padding_side).save_pretrained(folder)
        return folder

    return write


def _tokenizer(*, with_special_tokens: bool, padding_side: str) -> PreTrainedTokenizerFast:
    vocabulary = {word: number for number, word in enumerate(WORDS)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    if with_special_tokens:
        tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        model_max_length=32,
        padding_side=padding_side,
    )


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


@pytest.fixture(scope="session")
def hash_encoder() -> type[HashEncoder]:
    return HashEncoder
