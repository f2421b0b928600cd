"""Token ids of many texts, and batches of like length within a token budget.

Padding is the waste of an encoder: of mixed texts in batches of 32 as they come,
most tokens are padding. Batches of one length have none, and if also their number of
rows follows from the length alone, no text can change the rounding of another.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import numpy.typing as npt

from ml.ids import IntArray

# Tokens of a batch of fixed shape: more is hardly faster on a processor, and costs twice as much where few texts share a length.
FIXED_TOKENS = 128
# A text shorter than this share of a batch's width starts the next batch.
_MIN_FILL = 0.85


@dataclass(frozen=True)
class TokenizedTexts:
    """Token ids of N texts, end to end in `flat`; text n is `flat[starts[n] : starts[n] + lengths[n]]`."""

    flat: npt.NDArray[np.int64]
    starts: IntArray
    lengths: IntArray

    @classmethod
    def from_lists(cls, token_ids: Sequence[Sequence[int]], *, empty_id: int) -> "TokenizedTexts":
        """Join lists of ids; a text without any token is read as the one token `empty_id`."""
        lists = [ids if len(ids) else (empty_id,) for ids in token_ids]
        lengths = np.fromiter(map(len, lists), dtype=np.int64, count=len(lists))
        flat = np.fromiter(chain.from_iterable(lists), dtype=np.int64, count=int(lengths.sum()))
        return cls(flat=flat, starts=np.cumsum(lengths) - lengths, lengths=lengths)

    def joined(self, rows: IntArray) -> npt.NDArray[np.int64]:
        """Ids of some texts end to end, shape [their tokens]."""
        lengths = self.lengths[rows]
        offsets = self.starts[rows] - (np.cumsum(lengths) - lengths)
        ids: npt.NDArray[np.int64] = self.flat[np.repeat(offsets, lengths) + np.arange(lengths.sum())]
        return ids

    def padded(self, rows: IntArray, *, padding_id: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        """Ids and mask of some texts, padded on the right, both of shape [B, longest of them]."""
        positions_T = np.arange(self.lengths[rows].max())
        mask_BT = positions_T < self.lengths[rows][:, None]
        ids_BT = np.full(mask_BT.shape, padding_id, dtype=np.int64)
        ids_BT[mask_BT] = self.flat[(self.starts[rows][:, None] + positions_T)[mask_BT]]
        return ids_BT, mask_BT


def fixed_shape_batches(lengths: IntArray) -> Iterator[IntArray]:
    """Rows of each batch, longest texts first: all of one length T, and always `FIXED_TOKENS // T` of them (at least 1).

    A batch with too few texts is filled up by repeating them. A matrix product sums in an order that
    depends on its shape, not on the other rows, so the vector of a text is the same bits in every such batch.
    """
    order = np.argsort(-lengths, kind="stable")
    for group in np.split(order, np.flatnonzero(np.diff(lengths[order])) + 1) if len(order) else ():
        num_rows = max(1, FIXED_TOKENS // int(lengths[group[0]]))
        for start in range(0, len(group), num_rows):
            yield np.resize(group[start : start + num_rows], num_rows)


def length_sorted_batches(lengths: IntArray, *, batch_tokens: int) -> Iterator[IntArray]:
    """Rows of each batch, longest texts first, padding counted within `batch_tokens`.

    A text longer than the budget is a batch of its own. Ties keep the given order.
    """
    order = np.argsort(-lengths, kind="stable")
    descending = lengths[order]
    start = 0
    while start < len(order):
        width = int(descending[start])
        within_budget = max(1, batch_tokens // width)
        long_enough = int(np.searchsorted(-descending[start:], -_MIN_FILL * width, side="right"))
        stop = start + min(within_budget, long_enough)
        yield order[start:stop]
        start = stop
