"""One published comparison: what a model may learn from, what is asked last.

Files become splits in `readers`. Questions are put to models in `questions`, which alone
reads `test_UI`; a test holds the other modules to that. Shapes: U users, I items.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from benchmarks.published.protocols import Protocol
from ml.ids import IntArray, pair_starts


@dataclass(frozen=True)
class PublishedSplit:
    """Train, validation where the split has its own, and test pairs: 1 where there is one, float32 [U, I].

    `history` holds each user's train items, oldest first, where the order is known. Splits with one are asked
    for what came next, those without for a set.
    """

    name: str
    protocol: Protocol
    train_UI: sp.csr_array
    test_UI: sp.csr_array
    validation_UI: sp.csr_array | None = None
    history: tuple[IntArray, ...] | None = None


def pairs_of(items: Sequence[IntArray], *, num_items: int) -> sp.csr_array:
    """1 where a user's list holds the item, however often, sorted, float32 [U, I]."""
    user_index = np.repeat(np.arange(len(items)), [len(of_user) for of_user in items])
    item_index = np.concatenate([np.zeros(0, dtype=np.int64), *items])
    pairs_UI = sp.csr_array((np.ones(len(item_index), dtype=np.float32), (user_index, item_index)), shape=(len(items), num_items))
    pairs_UI.sum_duplicates()
    pairs_UI.data[:] = 1.0
    return pairs_UI


def ages_of(items: Sequence[IntArray], *, num_items: int) -> sp.csr_array:
    """How many items ago each was, the last one 1, a repeated one by its last time; the pattern of `pairs_of`, float32 [U, I]."""
    user_E = np.repeat(np.arange(len(items)), [len(of_user) for of_user in items])
    item_E = np.concatenate([np.zeros(0, dtype=np.int64), *items])
    age_E = np.concatenate([np.zeros(0, dtype=np.int64), *(np.arange(len(of_user), 0, -1) for of_user in items)])
    newest_first = np.lexsort((age_E, item_E, user_E))
    kept_E = newest_first[pair_starts(user_E[newest_first], item_E[newest_first])]
    entries = (age_E[kept_E].astype(np.float32), (user_E[kept_E], item_E[kept_E]))
    return sp.csr_array(entries, shape=(len(items), num_items))
