"""The item that most gave a user an interest, read from the table `user_interests`."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ml.contracts.meaning import USER_INTERESTS
from ml.ids import IntArray, Vocabulary


class Evidence:
    """Looks up the strongest item behind (user, interest) pairs."""

    def __init__(self, user_interests: pa.Table | None, *, users: Vocabulary, interests: Vocabulary) -> None:
        """Rows of users or interests outside the vocabularies are left out."""
        table = USER_INTERESTS.empty() if user_interests is None else user_interests
        user_index, knows_user = users.find(table.column("user_id"))
        interest_index, knows_interest = interests.find(table.column("interest_id"))
        self._num_interests = len(interests)
        strongest = _first_elements(table.column("item_ids").combine_chunks())
        kept = np.flatnonzero(knows_user & knows_interest & np.asarray(strongest.is_valid(), dtype=np.bool_))
        keys = self._keys(user_index[kept], interest_index[kept])
        order = np.argsort(keys, kind="stable")
        self._known_keys = pa.array(keys[order])
        self._item_ids = strongest.take(pa.array(kept[order]))

    def of(self, *, user_N: IntArray, interest_N: IntArray) -> pa.Array:
        """The item id behind each pair, null where none is recorded; shape [N]."""
        keys = pa.array(self._keys(user_N, interest_N))
        return self._item_ids.take(pc.index_in(keys, value_set=self._known_keys))

    def _keys(self, user_index: IntArray, interest_index: IntArray) -> IntArray:
        return user_index * self._num_interests + interest_index


def _first_elements(lists: pa.ListArray) -> pa.Array:
    """Each list's first element, null for an empty list."""
    lengths = np.asarray(lists.value_lengths().fill_null(0), dtype=np.int64)
    starts = np.cumsum(lengths) - lengths
    return lists.flatten().take(pa.array(starts, mask=lengths == 0))
