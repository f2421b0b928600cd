"""How far each user can be trusted: seven looks at what they did and wrote, and their product.

Every look is a number in (0, 1] of its own, so that a low credibility says why. Nothing here needs labels, and users
without a text are judged as well. Shapes: U users, R reviews.
"""

from collections.abc import Mapping
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ml.config.pipeline import ReviewConfig
from ml.contracts import check_no_leakage
from ml.contracts.contract import STRING, STRINGS, TIMESTAMP
from ml.contracts.meaning import REVIEWER_SIGNALS
from ml.ids import Vocabulary
from ml.reviews.crowd import company, disagreement, estrangement
from ml.reviews.opinions import Floats, Opinions, opinions
from ml.reviews.robust import trust
from ml.reviews.timing import burstiness, togetherness

# Suspicion at which a part is one half: robust deviations, and shares of what a user did.
_HALF = {
    "agreement": 4.5,
    "resemblance": 4.0,
    "company": 1.8,
    "calm": 6.0,
    "independence": 0.5,
    "originality": 0.5,
    "candour": 0.5,
}
# Reviews without fault that everybody starts with: one bad text proves little.
_PRIOR_REVIEWS = 2.0
_WORTH_NAMING = 0.9


def judge_reviewers(interactions: pa.Table, *, review_signals: pa.Table, config: ReviewConfig, as_of: datetime) -> pa.Table:
    """The table `reviewer_signals`, by user id, of everybody with an interaction.

    Of `review_signals` only rows before `as_of` are read, and of them what was known of single texts by then:
    contradictions and twins. Raises `LeakageError` for an interaction at or after `as_of`.
    """
    check_no_leakage(interactions, name="interactions", column="last_event_at", as_of=as_of)
    found = opinions(interactions, as_of=as_of)
    reviews = reviews_known(review_signals, as_of=as_of)
    parts = {name: trust(suspicion, half=_HALF[name]) for name, suspicion in _suspicions(found, reviews, config, as_of).items()}
    credibility_U = np.prod(np.stack(list(parts.values())), axis=0)
    table = pa.table(
        {
            "user_id": found.users.ids,
            "num_items": found.num_items_U,
            "num_reviews": _sums(np.ones(reviews.num_rows), reviews, users=found.users).astype(np.int64),
            "credibility": credibility_U,
            **parts,
            "reasons": _reasons(parts),
        }
    )
    return REVIEWER_SIGNALS.conform(table)


def reviews_known(review_signals: pa.Table, *, as_of: datetime) -> pa.Table:
    """The rows of reviews written before `as_of`, sorted by key so that sums do not depend on the order they came in."""
    known = review_signals.filter(pc.less(review_signals.column("event_at"), pa.scalar(as_of, TIMESTAMP)))
    return known.sort_by([("event_id", "ascending"), ("user_id", "ascending")])


def _suspicions(found: Opinions, reviews: pa.Table, config: ReviewConfig, as_of: datetime) -> Mapping[str, Floats]:
    """How suspicious each look makes each user, from 0 up, each shape [U]."""
    away_U = disagreement(found)
    strange_U = estrangement(found, num_neighbors=config.num_neighbors, max_anchors=config.max_anchors)
    alone_U = np.maximum(np.maximum(away_U, strange_U), 0.0)
    # Both must hold: who is odd alone is odd, who meets odd people may meet them by chance.
    together_U = np.sqrt(alone_U * company(found, suspicion_U=np.maximum(away_U, strange_U)))
    is_twin = pc.fill_null(pc.less(reviews.column("twin_at"), pa.scalar(as_of, TIMESTAMP)), False)
    return {
        "agreement": away_U,
        "resemblance": strange_U,
        "company": together_U,
        "calm": burstiness(found, window_hours=config.burst_hours),
        "independence": togetherness(found),
        "originality": _beyond_usual(np.asarray(is_twin, dtype=np.float64), reviews, users=found.users),
        "candour": _share(np.asarray(reviews.column("contradiction"), dtype=np.float64), reviews, users=found.users),
    }


def _share(fault_R: Floats, reviews: pa.Table, *, users: Vocabulary) -> Floats:
    return _sums(fault_R, reviews, users=users) / (_sums(np.ones(len(fault_R)), reviews, users=users) + _PRIOR_REVIEWS)


def _beyond_usual(fault_R: Floats, reviews: pa.Table, *, users: Vocabulary) -> Floats:
    """The share beyond that of the median reviewer: where everybody writes by a pattern, patterns prove nothing."""
    share_U = _share(fault_R, reviews, users=users)
    is_reviewer_U = _sums(np.ones(len(fault_R)), reviews, users=users) > 0
    usual = float(np.median(share_U[is_reviewer_U])) if is_reviewer_U.any() else 0.0
    return (share_U - usual) / (1.0 - usual)


def _sums(values_R: Floats, reviews: pa.Table, *, users: Vocabulary) -> Floats:
    user_R, is_known_R = users.find(reviews.column("user_id"))
    return np.bincount(user_R[is_known_R], weights=values_R[is_known_R], minlength=len(users)).astype(np.float64)


def _reasons(parts: Mapping[str, Floats]) -> pa.Array:
    """The parts worth naming as `company 0.03`, lowest first, a list per user."""
    values_UP = np.stack(list(parts.values()), axis=1)
    order_UP = np.argsort(values_UP, axis=1, kind="stable")
    user_E, place_E = np.nonzero(np.take_along_axis(values_UP, order_UP, axis=1) < _WORTH_NAMING)
    part_E = order_UP[user_E, place_E]
    said = pa.array([f"{value:.2f}" for value in values_UP[user_E, part_E]], STRING)
    named = pc.binary_join_element_wise(pa.array(list(parts), STRING).take(pa.array(part_E)), said, " ")
    offsets = np.searchsorted(user_E, np.arange(len(values_UP) + 1))
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), named).cast(STRINGS)
