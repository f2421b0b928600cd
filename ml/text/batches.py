"""Token ids of many texts, and batches of like length within a token budget.

Padding is the waste of an encoder: of mixed texts in batches of 32 as they come,
most tokens are padding. Sorting by length first leaves a few percent.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import numpy.typing as npt

from ml.ids import IntArray

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

    def padded(self, rows: IntArray, *, padding_id: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        """Ids and mask of some texts, padded on the right, both of shape [B, longest of them]."""
        positions_T = np.arange(self.lengths[rows].max())
        mask_BT = positions_T < self.lengths[rows][:, None]
        ids_BT = np.full(mask_BT.shape, padding_id, dtype=np.int64)
        ids_BT[mask_BT] = self.flat[(self.starts[rows][:, None] + positions_T)[mask_BT]]
        return ids_BT, mask_BT


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
