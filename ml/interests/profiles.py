"""What users are interested in, as weights on interest points, with the items and texts that gave them.

A user's interest is what the items met and the texts written say about it, the recent ones more. Finding
the points is `ml.interests.points`; what a text says is `ml.interests.own_texts`; turning weights into edges is `ml.graph.build`.
Shapes: M keys of affinities, C contributions (user, point, item or none), R user interests, E named items, H horizons: long-term, recent.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import scipy.sparse as sp

from ml.config.pipeline import InterestConfig
from ml.contracts import check_no_leakage
from ml.contracts.contract import FLOATS, STRINGS, TIMESTAMP
from ml.contracts.meaning import USER_INTERESTS
from ml.ids import BoolArray, IntArray, Vocabulary
from ml.interests.affinities import ROUNDING, Affinities, affinities, microseconds, pair_affinities
from ml.interests.exact import Floats

# Contributions worked on at once; bounds the memory, not the result.
BLOCK_CONTRIBUTIONS = 2_000_000
# Share of a user's strongest recent interest below which one has faded to nothing.
FAINTEST_RECENT = 0.01


class _Names(NamedTuple):
    users: Vocabulary
    items: Vocabulary
    interests: Vocabulary


@dataclass(frozen=True)
class _Contributions:
    """In order of user x number of points + point, then item, -1 for none; `num_texts_C` is 0 for what an item is about."""

    key_C: IntArray
    item_C: IntArray
    share_HC: Floats
    first_C: IntArray
    last_C: IntArray
    num_texts_C: IntArray

    def take(self, chosen: IntArray | BoolArray) -> "_Contributions":
        """Those of some positions or a mask."""
        rest = (self.first_C[chosen], self.last_C[chosen], self.num_texts_C[chosen])
        return _Contributions(self.key_C[chosen], self.item_C[chosen], self.share_HC[:, chosen], *rest)


def weigh_user_interests(
    interactions: pa.Table, *, item_interests: pa.Table, text_interests: pa.Table, config: InterestConfig, as_of: datetime
) -> pa.Table:
    """The table `user_interests`, sorted by key.

    An interest's weight is the sum over the user's items with it of affinity (see
    `ml.interests.affinities`: damped, so that one purchase does not drown the rest, and faded) x item
    weight, and of the affinity of what the user's texts say of it (summed over the reviews of an item, and over searches),
    times n / (n + 1) for n items met and texts, since one alone may be chance, divided by the user's largest
    magnitude. `recent_weight` is the same with `recent_half_life_days`. The `max_per_user` largest magnitudes of
    either stay, dislikes too. `item_weights` are the sums before that scaling, of the items on the interest's own side.
    Raises `LeakageError` if an interaction or a text is of `as_of` or later.
    """
    check_no_leakage(interactions, name="interactions", column="last_event_at", as_of=as_of)
    check_no_leakage(text_interests, name="text_interests", column="event_at", as_of=as_of)
    names = _Names(
        Vocabulary("user", _stacked("user_id", interactions, text_interests)),
        Vocabulary("item", _stacked("item_id", item_interests, text_interests)),
        Vocabulary("interest", _stacked("interest_id", item_interests, text_interests)),
    )
    weights_IP = _item_weights(item_interests, names=names)
    half_lives_days = (config.half_life_days, config.recent_half_life_days)
    met = pair_affinities(interactions, users=names.users, items=names.items, half_lives_days=half_lives_days, as_of=as_of)
    said = _text_affinities(text_interests, names=names, config=config, half_lives_days=half_lives_days, as_of=as_of)
    tables = [
        _weigh(_contributions(*block, weights_IP=weights_IP), names=names, config=config)
        for block in _blocks(met, said, weights_IP=weights_IP, names=names)
    ]
    return USER_INTERESTS.conform(pa.concat_tables([USER_INTERESTS.empty(), *tables]))


def _stacked(column: str, *tables: pa.Table) -> pa.ChunkedArray:
    return pa.chunked_array([chunk for table in tables for chunk in table.column(column).chunks], pa.string())


def _item_weights(item_interests: pa.Table, *, names: _Names) -> sp.csr_array:
    item = names.items.positions(item_interests.column("item_id"))
    interest = names.interests.positions(item_interests.column("interest_id"))
    weights = np.asarray(item_interests.column("weight"), dtype=np.float64)
    matrix = sp.csr_array((weights, (item, interest)), shape=(len(names.items), len(names.interests)))
    matrix.sort_indices()
    return matrix


def _text_affinities(
    text_interests: pa.Table, *, names: _Names, config: InterestConfig, half_lives_days: tuple[float, ...], as_of: datetime
) -> Affinities:
    """Affinity of what a user's texts say of a point and item, searches together, by (user, point, item + 1) as one number."""
    counts_N = np.where(text_interests.column("item_id").is_null(), config.text_weight, config.text_weight * config.review_text_share)
    user_N = names.users.positions(text_interests.column("user_id"))
    interest_N = names.interests.positions(text_interests.column("interest_id"))
    item_N, _ = names.items.find(text_interests.column("item_id"))
    at_N = microseconds(text_interests.column("event_at"))
    return affinities(
        (user_N * len(names.interests) + interest_N) * (len(names.items) + 1) + item_N + 1,
        weight_N=counts_N * np.asarray(text_interests.column("weight"), dtype=np.float64),
        first_N=at_N,
        last_N=at_N,
        half_lives_days=half_lives_days,
        as_of=as_of,
    )


def _blocks(met: Affinities, said: Affinities, *, weights_IP: sp.csr_array, names: _Names) -> Iterator[tuple[Affinities, Affinities]]:
    """Whole users, some `BLOCK_CONTRIBUTIONS` contributions at a time."""
    num_users, num_items, num_interests = len(names.users), len(names.items), len(names.interests)
    user_M, item_M = np.divmod(met.key_M, max(num_items, 1))
    user_of_text = said.key_M // max(num_interests * (num_items + 1), 1)
    met_U = np.bincount(user_M, weights=np.diff(weights_IP.indptr)[item_M], minlength=num_users)
    block_U = np.cumsum(met_U + np.bincount(user_of_text, minlength=num_users)) // BLOCK_CONTRIBUTIONS
    for start, stop in pairwise([0, *np.flatnonzero(np.diff(block_U, append=-1)) + 1]):
        of_items, of_texts = (slice(*np.searchsorted(users, [start, stop])) for users in (user_M, user_of_text))
        yield met.take(of_items), said.take(of_texts)


def _contributions(met: Affinities, said: Affinities, *, weights_IP: sp.csr_array) -> _Contributions:
    """What items met are about, by affinity x item weight, and what texts say, in order."""
    num_items, num_interests = weights_IP.shape
    user_M, item_M = np.divmod(met.key_M, max(num_items, 1))
    rows = sp.csr_array(weights_IP[item_M])
    pair_C = np.repeat(np.arange(len(met)), np.diff(rows.indptr))
    key_of_text, item_of_text = np.divmod(said.key_M, num_items + 1)
    found = _Contributions(
        key_C=np.concatenate([user_M[pair_C] * num_interests + rows.indices, key_of_text]),
        item_C=np.concatenate([item_M[pair_C], item_of_text - 1]),
        share_HC=np.concatenate([rows.data * met.affinity_HM[:, pair_C], said.affinity_HM], axis=1),
        first_C=np.concatenate([met.first_M[pair_C], said.first_M]),
        last_C=np.concatenate([met.last_M[pair_C], said.last_M]),
        num_texts_C=np.concatenate([np.zeros(len(pair_C), dtype=np.int64), said.num_rows_M]),
    )
    return found.take(np.lexsort((found.num_texts_C > 0, found.item_C, found.key_C)))


def _weigh(given: _Contributions, *, names: _Names, config: InterestConfig) -> pa.Table:
    starts = np.flatnonzero(np.diff(given.key_C, prepend=-1))
    if not len(starts):
        return USER_INTERESTS.empty()
    user_R, interest_R = np.divmod(given.key_C[starts], len(names.interests))
    weight_R, recent_R = _scale(_supported_totals(given, starts=starts), user_R=user_R)
    recent_R = np.where(np.abs(recent_R) < FAINTEST_RECENT, 0.0, recent_R)
    kept_R = _strongest(weight_R, recent_R=recent_R, user_R=user_R, limit=config.max_per_user)
    is_new_item_C = (given.item_C >= 0) & ((np.diff(given.item_C, prepend=-1) != 0) | (np.diff(given.key_C, prepend=-1) != 0))
    columns = {
        "user_id": names.users.take(user_R[kept_R]),
        "interest_id": names.interests.take(interest_R[kept_R]),
        "weight": weight_R[kept_R],
        "recent_weight": recent_R[kept_R],
        "num_items": np.add.reduceat(is_new_item_C, starts, dtype=np.int64)[kept_R],
        "num_texts": np.add.reduceat(given.num_texts_C, starts)[kept_R],
        "first_seen_at": _instants(np.minimum.reduceat(given.first_C, starts)[kept_R]),
        "last_seen_at": _instants(np.maximum.reduceat(given.last_C, starts)[kept_R]),
    }
    of_items = given.take(np.repeat(kept_R, np.diff(starts, append=len(given.key_C))) & (given.item_C >= 0))
    named = _named_items(of_items, key_R=given.key_C[starts][kept_R], weight_R=weight_R[kept_R], limit=config.max_evidence_items)
    return pa.table({**columns, **_list_columns(*named, num_rows=int(kept_R.sum()), items=names.items)}).cast(USER_INTERESTS.schema)


def _supported_totals(given: _Contributions, *, starts: IntArray) -> Floats:
    """Sums of contributions, less sure the fewer they are; 0 where they cancel; shape [H, R]."""
    total_HR, magnitude_HR = (np.add.reduceat(shares, starts, axis=1) for shares in (given.share_HC, np.abs(given.share_HC)))
    support_R = np.add.reduceat(np.maximum(given.num_texts_C, 1), starts)
    supported_HR: Floats = total_HR * support_R / (support_R + 1)
    return np.where(np.abs(total_HR) > ROUNDING * magnitude_HR, supported_HR, 0.0)


def _scale(total_HR: Floats, *, user_R: IntArray) -> Floats:
    """Totals over each user's largest magnitude of the horizon."""
    starts = np.flatnonzero(np.diff(user_R, prepend=-1))
    largest_HR = np.repeat(np.maximum.reduceat(np.abs(total_HR), starts, axis=1), np.diff(starts, append=len(user_R)), axis=1)
    return total_HR / np.where(largest_HR > 0, largest_HR, 1.0)


def _strongest(weight_R: Floats, *, recent_R: Floats, user_R: IntArray, limit: int) -> BoolArray:
    """The mask of each user's `limit` largest magnitudes, whichever is the larger, of weights other than 0; ties by position."""
    magnitude_R = np.where(weight_R != 0, np.maximum(np.abs(weight_R), np.abs(recent_R)), 0.0)
    order = np.lexsort((np.arange(len(weight_R)), -np.round(magnitude_R, 9), user_R))
    place = np.arange(len(order)) - np.searchsorted(user_R, user_R[order])
    kept: BoolArray = weight_R != 0
    kept[order[place >= limit]] = False
    return kept


def _named_items(of_items: _Contributions, *, key_R: IntArray, weight_R: Floats, limit: int) -> tuple[IntArray, IntArray, Floats]:
    """Row, item and share of each row's strongest items on its own side, ties by item; a row of searches has none."""
    starts = np.flatnonzero((np.diff(of_items.key_C, prepend=-1) != 0) | (np.diff(of_items.item_C, prepend=-1) != 0))
    if not len(starts):
        return starts, starts, np.zeros(0)
    row_N, item_N = np.searchsorted(key_R, of_items.key_C[starts]), of_items.item_C[starts]
    share_N = np.add.reduceat(of_items.share_HC[0], starts)
    side_N = share_N * np.sign(weight_R)[row_N]
    largest_R = np.zeros(len(weight_R))
    np.maximum.at(largest_R, row_N, side_N)
    order = np.lexsort((item_N, -np.round(side_N / np.where(largest_R > 0, largest_R, 1.0)[row_N], 9), row_N))
    place = np.arange(len(order)) - np.searchsorted(row_N, row_N[order])
    chosen = order[(place < limit) & (side_N[order] > 0)]
    return row_N[chosen], item_N[chosen], share_N[chosen]


def _list_columns(row_E: IntArray, item_E: IntArray, share_E: Floats, *, num_rows: int, items: Vocabulary) -> dict[str, pa.Array]:
    offsets = pa.array(np.searchsorted(row_E, np.arange(num_rows + 1)), pa.int32())
    item_ids = pa.ListArray.from_arrays(offsets, items.take(item_E)).cast(STRINGS)
    return {"item_ids": item_ids, "item_weights": pa.ListArray.from_arrays(offsets, pa.array(share_E)).cast(FLOATS)}


def _instants(microseconds_R: IntArray) -> pa.Array:
    return pa.array(microseconds_R).cast(TIMESTAMP)
