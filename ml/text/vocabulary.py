"""What a tokenizer cannot read of some texts, and new tokens for it.

An English model reads most Chinese characters as one and the same unknown token. New tokens begin as
chance vectors that look like the old ones: they tell words apart at once, and mean something once trained.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import torch
from transformers import AddedToken

from ml.ids import IntArray
from ml.text.weights import LoadedModel

# A longer run that cannot be read is no word.
_MAX_CHARACTERS = 16


@dataclass(frozen=True)
class Unread:
    """What a tokenizer cannot read: characters of all, those lost, and in how many texts each piece is lost."""

    num_characters: int
    num_lost: int
    texts_of_piece: Counter[str]

    @property
    def share(self) -> float:
        """Share of characters lost, white space aside, in [0, 1]."""
        return self.num_lost / max(self.num_characters, 1)


def unread(texts: Sequence[str], *, tokenizer: Any, max_tokens: int | None = None) -> Unread:
    """What becomes the unknown token of `texts`; nothing does where a tokenizer knows none, as byte-level ones do not.

    With `max_tokens`, only pieces among a text's first tokens are counted by texts: the ones that training will see.
    """
    lost = _lost_pieces(texts, tokenizer=tokenizer)
    seen = lost if max_tokens is None else _lost_pieces(texts, tokenizer=tokenizer, max_tokens=max_tokens)
    pieces = Counter(piece for found in seen for piece in set(found))
    return Unread(int(_num_characters(texts).sum()), sum(len(piece) for found in lost for piece in found), pieces)


def unread_shares(texts: Sequence[str], *, tokenizer: Any) -> npt.NDArray[np.float64]:
    """The share of each text's characters that becomes the unknown token, white space aside, in [0, 1], shape [N]."""
    num_lost_N = np.array([sum(map(len, found)) for found in _lost_pieces(texts, tokenizer=tokenizer)], dtype=np.float64)
    return num_lost_N / np.maximum(_num_characters(texts), 1)


def _num_characters(texts: Sequence[str]) -> IntArray:
    return np.array([len("".join(text.split())) for text in texts], dtype=np.int64)


def _lost_pieces(texts: Sequence[str], *, tokenizer: Any, max_tokens: int | None = None) -> list[list[str]]:
    """The pieces of each text that become the unknown token, in order."""
    if tokenizer.unk_token_id is None or not texts:
        return [[] for _ in texts]
    encoded = tokenizer(
        list(texts),
        add_special_tokens=False,
        return_offsets_mapping=True,
        return_attention_mask=False,
        verbose=False,
        truncation=max_tokens is not None,
        max_length=max_tokens,
    )
    return [
        [text[start:end] for token, (start, end) in zip(ids, offsets, strict=True) if token == tokenizer.unk_token_id]
        for text, ids, offsets in zip(texts, encoded["input_ids"], encoded["offset_mapping"], strict=True)
    ]


def new_tokens(found: Unread, *, min_texts: int, limit: int) -> list[str]:
    """The pieces lost in at least `min_texts` texts, most frequent first, ties by their letters, at most `limit`."""
    frequent = [(-number, piece) for piece, number in found.texts_of_piece.items() if number >= min_texts and len(piece) <= _MAX_CHARACTERS]
    return [piece for _, piece in sorted(frequent)[:limit]]


def extend(loaded: LoadedModel, tokens: Sequence[str], *, generator: torch.Generator) -> int:
    """Teach tokenizer and network new tokens, in place; returns how many are new to them.

    A new vector is drawn from the normal distribution that has each coordinate's mean and variance among the old ones.
    """
    num_known = len(loaded.tokenizer)
    # A word of Latin letters stands apart from others; Chinese ones have no space between them.
    apart = pc.match_substring_regex(pa.array(tokens, pa.string()), r"\p{Latin}").to_pylist()
    added = loaded.tokenizer.add_tokens(
        [AddedToken(token, single_word=alone, normalized=True) for token, alone in zip(tokens, apart, strict=True)]
    )
    if not added:
        return 0
    network: Any = loaded.network
    old = network.get_input_embeddings().weight.detach()
    # A table may be longer than its tokenizer, for the sake of round numbers.
    network.resize_token_embeddings(max(len(loaded.tokenizer), len(old)), mean_resizing=False)
    vectors = network.get_input_embeddings().weight
    with torch.no_grad():
        chance = torch.randn(added, old.shape[1], generator=generator).to(old)
        vectors[num_known : num_known + added] = old[:num_known].mean(dim=0) + chance * old[:num_known].std(dim=0)
    return int(added)
