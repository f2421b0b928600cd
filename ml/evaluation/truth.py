"""What users came to like after the cut: the answer sheet of an evaluation.

Shapes: U users, I items.
"""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import scipy.sparse as sp

from ml.contracts.contract import TIMESTAMP
from ml.ids import IntArray
from ml.models.inputs import ModelInputs


@dataclass(frozen=True)
class Truth:
    """New likes of users known at the cut.

    `relevant_UI` is boolean over the inputs' users and items. Users and pairs that no
    model could have answered are counted, not hidden: `num_unknown_users` liked something
    but were never met before the cut, `num_unknown_items` are liked items outside the vocabulary.
    """

    relevant_UI: sp.csr_array
    num_unknown_users: int
    num_unknown_items: int

    @property
    def user_index(self) -> IntArray:
        """Users with at least one new like, ascending."""
        return np.flatnonzero(np.diff(self.relevant_UI.indptr)).astype(np.int64)


def held_out(interactions: pa.Table, *, inputs: ModelInputs, start: datetime, end: datetime) -> Truth:
    """Pairs whose signed weights in [start, end) sum to above 0 and that the user had not met before.

    `interactions` may hold any time; rows count by `last_event_at`. Raises `ValueError`
    where `start` lies before `inputs.as_of`: the inputs would know part of the answer.
    """
    if start < inputs.as_of:
        raise ValueError(
            f"truth from {start.isoformat()} on overlaps inputs as of {inputs.as_of.isoformat()}; rebuild them as of the start"
        )
    at = interactions.column("last_event_at")
    inside = pc.and_(pc.greater_equal(at, pa.scalar(start, TIMESTAMP)), pc.less(at, pa.scalar(end, TIMESTAMP)))
    pairs = interactions.filter(inside).group_by(["user_id", "item_id"]).aggregate([("weight", "sum")])
    liked = pairs.filter(pc.greater(pairs.column("weight_sum"), 0.0))
    user_index, user_known = inputs.users.find(liked.column("user_id"))
    item_index, item_known = inputs.items.find(liked.column("item_id"))
    known = user_known & item_known
    shape = (len(inputs.users), len(inputs.items))
    liked_UI = sp.csr_array((np.ones(known.sum(), dtype=np.int8), (user_index[known], item_index[known])), shape=shape)
    return Truth(
        relevant_UI=_without(liked_UI, inputs.seen_UI),
        num_unknown_users=pc.count_distinct(liked.column("user_id").filter(pa.array(~user_known))).as_py(),
        num_unknown_items=pc.count_distinct(liked.column("item_id").filter(pa.array(~item_known))).as_py(),
    )


def _without(pairs_UI: sp.csr_array, seen_UI: sp.csr_array) -> sp.csr_array:
    """Pairs outside `seen_UI`, boolean, sorted."""
    met_UI = pairs_UI.multiply(seen_UI > 0)
    new_UI = sp.csr_array(pairs_UI - met_UI.astype(np.int8)).astype(bool)
    new_UI.eliminate_zeros()
    new_UI.sort_indices()
    return new_UI
