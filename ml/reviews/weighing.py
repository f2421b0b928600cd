"""Interactions weighed by what reviews say and how far their writers can be trusted.

The one place where signals meet weights: profiles, the graph and training all read what comes out.
Nothing is deleted, and where there is nothing to doubt and nothing unrated the weights stay as they are.
"""

from datetime import datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ml.config.pipeline import ReviewConfig
from ml.contracts.contract import DAY
from ml.ids import Vocabulary
from ml.reviews.reviewers import reviews_known

Floats = npt.NDArray[np.float64]


def weigh_interactions(
    interactions: pa.Table, *, review_signals: pa.Table, reviewer_signals: pa.Table, config: ReviewConfig, as_of: datetime
) -> pa.Table:
    """The interactions with other weights: reviews without stars count by their sentiment, then all by their user's credibility.

    A review without stars counts sentiment x the median magnitude of rated ones, instead of what the dataset file says
    of its event; one whose sentiment is withheld stays as it is. A user unknown to `reviewer_signals` is credible.
    """
    weight_N = np.asarray(interactions.column("weight"), dtype=np.float64)
    weight_N = weight_N + _said_by_texts(interactions, reviews_known(review_signals, as_of=as_of))
    return _believed(interactions, weight_N=weight_N, reviewer_signals=reviewer_signals, config=config)


def weigh_text_interests(text_interests: pa.Table, *, reviewer_signals: pa.Table, config: ReviewConfig) -> pa.Table:
    """What own texts say of interests, by their user's credibility like everything else they do."""
    weight_N = np.asarray(text_interests.column("weight"), dtype=np.float64)
    return _believed(text_interests, weight_N=weight_N, reviewer_signals=reviewer_signals, config=config)


def credibility_of(user_ids: pa.Array | pa.ChunkedArray, *, reviewer_signals: pa.Table, config: ReviewConfig) -> Floats:
    """How much what each user did counts, in [`min_credibility`, 1], shape of the ids; 1 for an unknown one."""
    place = pc.index_in(user_ids, value_set=reviewer_signals.column("user_id").combine_chunks())
    known = pc.fill_null(reviewer_signals.column("credibility").take(place), 1.0)
    return np.maximum(np.asarray(known, dtype=np.float64), config.min_credibility)


def _believed(table: pa.Table, *, weight_N: Floats, reviewer_signals: pa.Table, config: ReviewConfig) -> pa.Table:
    """The table with these weights, each times its user's credibility."""
    weighed_N = weight_N * credibility_of(table.column("user_id"), reviewer_signals=reviewer_signals, config=config)
    place = table.schema.get_field_index("weight")
    return table.set_column(place, table.schema.field(place), pa.array(weighed_N))


def _said_by_texts(interactions: pa.Table, reviews: pa.Table) -> Floats:
    """What sentiments add to the weight of each interaction, shape [N]: 0 but for reviews without stars."""
    added_N = np.zeros(interactions.num_rows)
    is_rated = reviews.column("is_rated")
    speaks = pc.and_(pc.invert(is_rated), pc.invert(reviews.column("is_abstained")))
    unrated = reviews.filter(speaks)
    if not unrated.num_rows:
        return added_N
    usual = np.median(np.abs(np.asarray(reviews.filter(is_rated).column("weight"), dtype=np.float64)))
    change = np.asarray(unrated.column("sentiment"), dtype=np.float64) * usual - np.asarray(unrated.column("weight"), dtype=np.float64)
    keys = Vocabulary("interaction", _keys(interactions, interactions.column("day")))
    at, is_known = keys.find(_keys(unrated, unrated.column("event_at").cast(DAY)))
    change_K = np.bincount(at[is_known], weights=change[is_known], minlength=len(keys))
    return np.asarray(change_K[keys.positions(_keys(interactions, interactions.column("day")))], dtype=np.float64)


def _keys(table: pa.Table, day: pa.ChunkedArray) -> pa.ChunkedArray:
    """User, item and day as one string; ids may hold anything but the unit separator."""
    return pc.binary_join_element_wise(table.column("user_id"), table.column("item_id"), day.cast(pa.string()), "\x1f")
