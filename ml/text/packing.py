"""Many texts end to end in one sequence of fixed width, each attending to itself alone.

No padding is computed, and every matrix product has one shape whatever the texts are, so that
the vector of a text is the same bits in any company: a product sums in an order that depends on
its shape. After the packing of Krell et al., arXiv 2107.02027. Shapes: W pack width, H heads, d head size.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ml.ids import IntArray
from ml.text.batches import TokenizedTexts

ATTENTION = "interest_graph_packed"
# Texts of up to so many tokens, and the width of their packs: which kind a text goes into depends on its own length alone.
# Wider than the last is no faster on a processor, and a search phrase should not pay for a page.
KINDS = ((16, 64), (64, 256))
WIDE = 1024
# Hidden vectors of a text alone and in a pack agree to rounding, or the model attends in a way that packs do not know.
MIN_COSINE = {torch.float32: 0.9999, torch.bfloat16: 0.99}


@dataclass(frozen=True)
class Pack:
    """Texts `rows` in order, end to end from position 0 in a sequence of `width` tokens."""

    rows: IntArray
    width: int


@dataclass(frozen=True)
class Stretch:
    """`number` texts of one length that follow each other from position `start`."""

    start: int
    number: int
    length: int


def packs(lengths: IntArray, *, longest: int) -> Iterator[Pack]:
    """Every text once, longest first within its kind of pack; `longest` is the most tokens that any text can have."""
    order = np.argsort(-lengths, kind="stable")
    kind_of = np.searchsorted([limit for limit, _ in KINDS], lengths[order])
    for kind, width in enumerate((*(width for _, width in KINDS), max(WIDE, longest))):
        rows = order[kind_of == kind]
        start = 0
        ends = np.cumsum(lengths[rows])
        while start < len(rows):
            before = ends[start - 1] if start else 0
            stop = int(np.searchsorted(ends, before + width, side="right"))
            yield Pack(rows[start:stop], width)
            start = stop


def run_pack(network: torch.nn.Module, pack: Pack, *, tokens: TokenizedTexts, first_position: int, filler_id: int) -> torch.Tensor:
    """Last hidden vectors of a pack's texts, end to end, shape [their tokens, D]."""
    lengths = tokens.lengths[pack.rows]
    total = int(lengths.sum())
    ids_W = np.full(pack.width, filler_id, dtype=np.int64)
    positions_W = np.full(pack.width, first_position, dtype=np.int64)
    ids_W[:total] = tokens.joined(pack.rows)
    positions_W[:total] = first_position + np.arange(total) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    hidden_WD: torch.Tensor = network(
        input_ids=torch.from_numpy(ids_W)[None],
        position_ids=torch.from_numpy(positions_W)[None],
        stretches=stretches(lengths),
    ).last_hidden_state[0, :total]
    return hidden_WD


def stretches(lengths: IntArray) -> list[Stretch]:
    """Runs of equal length in a pack, in order."""
    starts = np.cumsum(lengths) - lengths
    firsts = np.flatnonzero(np.diff(lengths, prepend=-1))
    numbers = np.diff(firsts, append=len(lengths))
    return [Stretch(int(starts[first]), int(number), int(lengths[first])) for first, number in zip(firsts, numbers, strict=True)]


def attend_within_texts(
    module: torch.nn.Module,
    query_1HWd: torch.Tensor,
    key_1HWd: torch.Tensor,
    value_1HWd: torch.Tensor,
    attention_mask: torch.Tensor | None,  # noqa: ARG001  the stretches say who sees whom
    *,
    stretches: list[Stretch],
    scaling: float | None = None,
    is_causal: bool | None = None,
    sliding_window: int | None = None,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """Attention of each text to itself, in the form that transformers asks for: [1, W, H, d] and no weights.

    Raises `NotImplementedError` where a text would have to look through a window at itself.
    """
    if sliding_window is not None and any(stretch.length > sliding_window for stretch in stretches):
        raise NotImplementedError("packs know no attention through a window")
    causal = bool(getattr(module, "is_causal", False)) if is_causal is None else is_causal
    attended = torch.zeros_like(query_1HWd)
    for stretch in stretches:
        stop = stretch.start + stretch.number * stretch.length
        query, key, value = (
            torch.unflatten(part[0, :, stretch.start : stop], 1, (stretch.number, stretch.length)).transpose(0, 1)
            for part in (query_1HWd, key_1HWd, value_1HWd)
        )
        found_NHTd = torch.nn.functional.scaled_dot_product_attention(
            query, key, value, scale=scaling, is_causal=causal and stretch.length > 1, enable_gqa=query.shape[1] != key.shape[1]
        )
        attended[0, :, stretch.start : stop] = found_NHTd.transpose(0, 1).flatten(1, 2)
    return attended.transpose(1, 2), None


def first_position(network: Any) -> int:
    """The position id of a text's first token: 0, but the one after the padding's in RoBERTa and its kin."""
    embeddings: Any = getattr(network, "embeddings", None)
    return int(embeddings.padding_idx) + 1 if hasattr(embeddings, "create_position_ids_from_input_ids") else 0


def prepare_packing(network: Any, *, longest: int, ids: npt.NDArray[np.int64]) -> bool:
    """Switch a network to packs, if what it computes stays the same; otherwise it is left as it was.

    Asked of the network itself with three texts drawn from `ids`, one of them of `longest` tokens: attention with a
    bias of its own is not what packs compute, and shows there.
    """
    # Imported with the first model: look-ups that encode nothing need none of it.
    from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS  # noqa: PLC0415
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS  # noqa: PLC0415

    ALL_ATTENTION_FUNCTIONS.register(ATTENTION, attend_within_texts)
    ALL_MASK_ATTENTION_FUNCTIONS.register(ATTENTION, lambda *_, **__: None)
    texts = [np.resize(ids, length) for length in (longest, max(1, longest // 5), 3)]
    before = network.config._attn_implementation
    with torch.inference_mode():
        alone = torch.cat([network(input_ids=torch.from_numpy(text)[None]).last_hidden_state[0] for text in texts])
        try:
            network.set_attn_implementation(ATTENTION)
            tokens = TokenizedTexts.from_lists([text.tolist() for text in texts], empty_id=0)
            pack = Pack(np.arange(len(texts)), width=sum(map(len, texts)))
            packed = run_pack(network, pack, tokens=tokens, first_position=first_position(network), filler_id=0)
        except (TypeError, ValueError, NotImplementedError):
            packed = torch.zeros_like(alone)
    if torch.nn.functional.cosine_similarity(alone.float(), packed.float(), dim=1).min() >= MIN_COSINE[network.dtype]:
        return True
    network.set_attn_implementation(before)
    return False
