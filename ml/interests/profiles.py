"""What users are interested in, as weights on interest points, with the items that gave them.

A user's interest is what the items met say about it, the recent ones more. Finding
the points is `ml.interests.points`; turning weights into edges is `ml.graph.build`.
Shapes: M (user, item) pairs, C contributions (user, item, point), R user interests, E named items.
"""

from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import scipy.sparse as sp

from ml.config.pipeline import InterestConfig
from ml.contracts import check_no_leakage
from ml.contracts.contract import FLOATS, STRINGS, TIMESTAMP
from ml.contracts.meaning import USER_INTERESTS
from ml.ids import BoolArray, IntArray, Vocabulary
from ml.interests.affinities import ROUNDING, Affinities, pair_affinities

Floats = npt.NDArray[np.float64]

# Contributions worked on at once; bounds the memory, not the result.
BLOCK_CONTRIBUTIONS = 2_000_000


class _Names(NamedTuple):
    users: Vocabulary
    items: Vocabulary
    interests: Vocabulary


def weigh_user_interests(interactions: pa.Table, *, item_interests: pa.Table, config: InterestConfig, as_of: datetime) -> pa.Table:
    """The table `user_interests`, sorted by key.

    An interest's weight is the sum over the user's n items with it of affinity (see
    `pair_affinities`: damped, so that one purchase does not drown the rest, and faded) x item
    weight, times n / (n + 1), since one item alone may be chance, divided by the user's largest
    magnitude. The `max_per_user` largest magnitudes stay, dislikes too. `item_weights` are the
    products before that scaling, of the items on the interest's own side. Raises `LeakageError`
    if an interaction ends at or after `as_of`.
    """
    check_no_leakage(interactions, name="interactions", column="last_event_at", as_of=as_of)
    names = _Names(
        Vocabulary("user", interactions.column("user_id")),
        Vocabulary("item", item_interests.column("item_id")),
        Vocabulary("interest", item_interests.column("interest_id")),
    )
    weights_IP = _item_weights(item_interests, names=names)
    pairs = pair_affinities(interactions, users=names.users, items=names.items, half_life_days=config.half_life_days, as_of=as_of)
    tables = [_weigh(block, weights_IP=weights_IP, names=names, config=config) for block in _blocks(pairs, weights_IP=weights_IP)]
    return USER_INTERESTS.conform(pa.concat_tables([USER_INTERESTS.empty(), *tables]))


def _item_weights(item_interests: pa.Table, *, names: _Names) -> sp.csr_array:
    item = names.items.positions(item_interests.column("item_id"))
    interest = names.interests.positions(item_interests.column("interest_id"))
    weights = np.asarray(item_interests.column("weight"), dtype=np.float64)
    matrix = sp.csr_array((weights, (item, interest)), shape=(len(names.items), len(names.interests)))
    matrix.sort_indices()
    return matrix


def _blocks(pairs: Affinities, *, weights_IP: sp.csr_array) -> Iterator[Affinities]:
    """Pairs of whole users, some `BLOCK_CONTRIBUTIONS` contributions at a time."""
    contributions = np.cumsum(np.diff(weights_IP.indptr)[pairs.item_M])
    ends_of_users = np.flatnonzero(np.diff(pairs.user_M, append=-1)) + 1
    block_of_user = contributions[ends_of_users - 1] // BLOCK_CONTRIBUTIONS
    stops = ends_of_users[np.flatnonzero(np.diff(block_of_user, append=-1))]
    for start, stop in pairwise([0, *stops]):
        yield pairs.take(slice(int(start), int(stop)))


def _weigh(pairs: Affinities, *, weights_IP: sp.csr_array, names: _Names, config: InterestConfig) -> pa.Table:
    pair_C, share_C, key_C = _contributions(pairs, weights_IP=weights_IP)
    starts = np.flatnonzero(np.diff(key_C, prepend=-1))
    user_R, interest_R = np.divmod(key_C[starts], len(names.interests))
    num_items_R = np.diff(starts, append=len(key_C))
    weight_R = _scale(_supported_totals(share_C, starts=starts, num_items_R=num_items_R), user_R=user_R)
    kept_R = _strongest(weight_R, user_R=user_R, limit=config.max_per_user)
    columns = {
        "user_id": names.users.take(user_R[kept_R]),
        "interest_id": names.interests.take(interest_R[kept_R]),
        "weight": weight_R[kept_R],
        "num_items": num_items_R[kept_R],
        "first_seen_at": _instants(np.minimum.reduceat(pairs.first_M[pair_C], starts)[kept_R]),
        "last_seen_at": _instants(np.maximum.reduceat(pairs.last_M[pair_C], starts)[kept_R]),
    }
    kept_C = np.repeat(kept_R, num_items_R)
    row_C = np.repeat(np.arange(int(kept_R.sum())), num_items_R[kept_R])
    item_C = pairs.item_M[pair_C[kept_C]]
    named = _named_items(row_C, item_C=item_C, share_C=share_C[kept_C], weight_R=weight_R[kept_R], limit=config.max_evidence_items)
    return pa.table({**columns, **_list_columns(*named, num_rows=int(kept_R.sum()), items=names.items)}).cast(USER_INTERESTS.schema)


def _contributions(pairs: Affinities, *, weights_IP: sp.csr_array) -> tuple[IntArray, Floats, IntArray]:
    """Pair, affinity x item weight, and user-interest key of each contribution, in order of key, then item."""
    rows = sp.csr_array(weights_IP[pairs.item_M])
    pair_C = np.repeat(np.arange(len(pairs)), np.diff(rows.indptr))
    key_C = pairs.user_M[pair_C] * weights_IP.shape[1] + rows.indices
    order = np.argsort(key_C, kind="stable")
    return pair_C[order], (rows.data * pairs.affinity_M[pair_C])[order], key_C[order]


def _supported_totals(share_C: Floats, *, starts: IntArray, num_items_R: IntArray) -> Floats:
    """Sums of contributions, less sure the fewer they are; 0 where they cancel."""
    total_R, magnitude_R = np.add.reduceat(share_C, starts), np.add.reduceat(np.abs(share_C), starts)
    supported_R: Floats = total_R * num_items_R / (num_items_R + 1)
    return np.where(np.abs(total_R) > ROUNDING * magnitude_R, supported_R, 0.0)


def _scale(total_R: Floats, *, user_R: IntArray) -> Floats:
    """Totals over each user's largest magnitude."""
    starts = np.flatnonzero(np.diff(user_R, prepend=-1))
    largest_R = np.repeat(np.maximum.reduceat(np.abs(total_R), starts), np.diff(starts, append=len(user_R)))
    return total_R / np.where(largest_R > 0, largest_R, 1.0)


def _strongest(weight_R: Floats, *, user_R: IntArray, limit: int) -> BoolArray:
    """The mask of each user's `limit` largest magnitudes above 0; ties by position."""
    order = np.lexsort((np.arange(len(weight_R)), -np.round(np.abs(weight_R), 9), user_R))
    place = np.arange(len(order)) - np.searchsorted(user_R, user_R[order])
    kept: BoolArray = weight_R != 0
    kept[order[place >= limit]] = False
    return kept


def _named_items(row_C: IntArray, *, item_C: IntArray, share_C: Floats, weight_R: Floats, limit: int) -> tuple[IntArray, IntArray, Floats]:
    """Row, item and share of each row's strongest items on its own side, ties by item."""
    side_C = share_C * np.sign(weight_R)[row_C]
    starts = np.searchsorted(row_C, np.arange(len(weight_R)))
    largest_R = np.maximum.reduceat(side_C, starts) if len(starts) else side_C
    order = np.lexsort((item_C, -np.round(side_C / largest_R[row_C], 9), row_C))
    place = np.arange(len(order)) - starts[row_C[order]]
    chosen = order[(place < limit) & (side_C[order] > 0)]
    return row_C[chosen], item_C[chosen], share_C[chosen]


def _list_columns(row_E: IntArray, item_E: IntArray, share_E: Floats, *, num_rows: int, items: Vocabulary) -> dict[str, pa.Array]:
    offsets = pa.array(np.searchsorted(row_E, np.arange(num_rows + 1)), pa.int32())
    item_ids = pa.ListArray.from_arrays(offsets, items.take(item_E)).cast(STRINGS)
    return {"item_ids": item_ids, "item_weights": pa.ListArray.from_arrays(offsets, pa.array(share_E)).cast(FLOATS)}


def _instants(microseconds: IntArray) -> pa.Array:
    return pa.array(microseconds).cast(TIMESTAMP)
