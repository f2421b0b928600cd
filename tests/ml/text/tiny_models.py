"""Random models of a few thousand weights, written to a folder as `save_pretrained` does."""

from pathlib import Path
from typing import Literal

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import BertConfig, BertModel, LlamaConfig, LlamaModel, PreTrainedTokenizerFast

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "warm", "wool", "hat", "sea", "salt", "boat", "trail", "boot"]


def write_tiny_model(
    folder: Path, *, kind: Literal["bert", "llama"] = "bert", seed: int = 0, padding_side: str = "right", hidden_size: int = 16
) -> Path:
    """A model that knows eight words and reads 32 tokens; returns its folder."""
    torch.manual_seed(seed)
    sizes = {
        "vocab_size": len(WORDS),
        "hidden_size": hidden_size,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 2 * hidden_size,
        "max_position_embeddings": 32,
    }
    model = BertModel(BertConfig(**sizes)) if kind == "bert" else LlamaModel(LlamaConfig(**sizes))
    model.save_pretrained(folder)
    _tokenizer(with_special_tokens=kind == "bert", padding_side=padding_side).save_pretrained(folder)
    return folder


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
