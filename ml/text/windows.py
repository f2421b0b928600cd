"""Long texts as several windows of tokens, so that their ends count as much as their beginnings.

A text's vector is the mean of its windows' unit vectors by their tokens; what lies behind the
last window that is read is cut off, and counted. Shapes: N texts, M windows, D dimension.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

from ml.ids import FloatArray, IntArray
from ml.text.batches import TokenizedTexts


@dataclass(frozen=True)
class Windows:
    """Windows of N texts in order; window m is of text `text_M[m]`. `num_tokens_N` and `num_cut_N` count tokens of each text."""

    tokens: TokenizedTexts
    text_M: IntArray
    num_tokens_N: IntArray
    num_cut_N: IntArray


def split(texts: Sequence[str], *, tokenizer: Any, max_tokens: int, max_windows: int) -> Windows:
    """Token ids of every window of at most `max_tokens`, special tokens in each; a text has 1 to `max_windows`.

    `num_cut_N` are the tokens behind a text's last window; both counts are with special tokens.
    """
    encoded = tokenizer(
        list(texts),
        truncation=True,
        max_length=max_tokens,
        return_overflowing_tokens=True,
        return_attention_mask=False,
        return_token_type_ids=False,
    )
    text_A = np.asarray(encoded["overflow_to_sample_mapping"], dtype=np.int64)
    lengths_A = np.fromiter(map(len, encoded["input_ids"]), dtype=np.int64, count=len(text_A))
    number_A = np.arange(len(text_A)) - np.searchsorted(text_A, text_A)
    kept = np.flatnonzero(number_A < max_windows)
    tokens = TokenizedTexts.from_lists([encoded["input_ids"][window] for window in kept], empty_id=empty_id(tokenizer))
    num_tokens = np.bincount(text_A, weights=lengths_A, minlength=len(texts)).astype(np.int64)
    num_read = np.bincount(text_A[kept], weights=lengths_A[kept], minlength=len(texts)).astype(np.int64)
    return Windows(tokens, text_A[kept], num_tokens, num_tokens - num_read)


def pool_windows(vectors_MD: FloatArray, windows: Windows) -> FloatArray:
    """One unit vector per text, shape [N, D]; windows that cancel out leave the first of them."""
    text_M, num_texts = windows.text_M, len(windows.num_tokens_N)
    if len(text_M) == num_texts:
        return vectors_MD
    shares_NM = sp.csr_array((windows.tokens.lengths.astype(np.float64), (text_M, np.arange(len(text_M)))), shape=(num_texts, len(text_M)))
    sums_ND = shares_NM @ vectors_MD.astype(np.float64)
    norms_N = np.linalg.norm(sums_ND, axis=1, keepdims=True)
    firsts_ND = vectors_MD[np.searchsorted(text_M, np.arange(num_texts))]
    is_single = np.bincount(text_M, minlength=num_texts)[:, None] == 1
    pooled: FloatArray = np.where(is_single | (norms_N < 1e-6), firsts_ND, sums_ND / np.maximum(norms_N, 1e-6)).astype(np.float32)
    return pooled


def empty_id(tokenizer: Any) -> int:
    """The token that stands for a text without any."""
    for name in ("eos_token_id", "cls_token_id", "bos_token_id", "unk_token_id", "pad_token_id"):
        found = getattr(tokenizer, name)
        if found is not None:
            return int(found)
    return 0
