"""The tables `review_signals` and `reviewer_signals`: what each review says, and how far it can be trusted.

The vectors of the texts come in; sentiment is learned anew from the stars known by the day. Shapes: R reviews,
L rated reviews that are learned from, D vector dimensions.
"""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ml.config.pipeline import ReviewConfig
from ml.contracts import check_no_leakage
from ml.contracts.contract import BOOLEAN, FLOAT, STRINGS, TIMESTAMP
from ml.contracts.meaning import REVIEW_SIGNALS
from ml.ids import BoolArray, FloatArray, IntArray, Vocabulary
from ml.reviews.duplicates import twin_moments
from ml.reviews.reviewers import judge_reviewers
from ml.reviews.sentiment import Floats, Judged, SentimentModel, fit_sentiment
from ml.words.cleaning import clean_column

# What a full contradiction, or a twin, takes from a review's credibility.
_FAULT = 0.5


@dataclass(frozen=True)
class ReviewSignals:
    """Both tables, and the model that gave the sentiments; None where too few reviews are rated."""

    reviews: pa.Table
    reviewers: pa.Table
    model: SentimentModel | None


def in_order(reviews: pa.Table, *, as_of: datetime) -> pa.Table:
    """The reviews as their vectors must be: cleaned, sorted by event, then user. Raises `LeakageError` for one at or after `as_of`."""
    check_no_leakage(reviews, name="reviews", column="event_at", as_of=as_of)
    return clean_column(reviews, "text").sort_by([("event_id", "ascending"), ("user_id", "ascending")])


def judge_reviews(
    reviews: pa.Table, *, vectors_RD: FloatArray, interactions: pa.Table, language: str, config: ReviewConfig, as_of: datetime
) -> ReviewSignals:
    """Judge all reviews, `in_order`, with a vector each, and everybody with an interaction."""
    if len(vectors_RD) != reviews.num_rows:
        raise ValueError(f"{reviews.num_rows} reviews but {len(vectors_RD)} vectors; give one vector per review, in_order")
    weight_R = np.asarray(reviews.column("weight"), dtype=np.float64)
    is_rated_R = np.asarray(pc.is_valid(reviews.column("value")), dtype=np.bool_)
    model, judged, reasons = _sentiments(reviews, vectors_RD, weight_R, is_rated_R, language=language, config=config)
    signals = reviews.select(["event_id", "user_id", "item_id", "event_at", "weight"])
    for name, column in {
        "is_rated": pa.array(is_rated_R, BOOLEAN),
        "sentiment": _or_null(judged.score_N, model),
        "confidence": _or_null(judged.confidence_N, model),
        "is_abstained": pa.array(judged.is_abstained_N, BOOLEAN),
        "contradiction": np.where(is_rated_R & ~judged.is_abstained_N, np.maximum(-np.sign(weight_R) * judged.score_N, 0.0), 0.0),
        "twin_at": _twins(reviews, config=config),
    }.items():
        signals = signals.append_column(name, pa.array(column))
    reviewers = judge_reviewers(interactions, review_signals=signals, config=config, as_of=as_of)
    signals = _with_credibility(signals, reviewers).append_column("reasons", reasons)
    return ReviewSignals(REVIEW_SIGNALS.conform(signals), reviewers, model)


def _sentiments(
    reviews: pa.Table, vectors_RD: FloatArray, weight_R: Floats, is_rated_R: BoolArray, *, language: str, config: ReviewConfig
) -> tuple[SentimentModel | None, Judged, pa.Array]:
    """The model, and every review's sentiment with its reasons; of those learned from, by models that had not seen them."""
    learned_L = _to_learn_from(reviews, weight_R, is_rated_R, config=config)
    is_positive_L = np.asarray(weight_R[learned_L] > 0, dtype=np.bool_)
    num = reviews.num_rows
    if min(int(is_positive_L.sum()), int((~is_positive_L).sum())) < config.min_rated_reviews:
        nothing = Judged(np.zeros(num), np.full(num, 0.5), np.ones(num, dtype=np.bool_))
        return None, nothing, pa.array([[]] * num, STRINGS)
    texts = reviews.column("text")
    learned = fit_sentiment(
        texts.take(pa.array(learned_L)), vectors_ND=vectors_RD[learned_L], is_positive_N=is_positive_L, language=language, config=config
    )
    contributions = learned.model.contributions(texts)
    judged = learned.model.judged(contributions, vectors_ND=vectors_RD)
    for whole, unseen in ((judged.score_N, learned.judged.score_N), (judged.confidence_N, learned.judged.confidence_N)):
        whole[learned_L] = unseen
    judged.is_abstained_N[learned_L] = learned.judged.is_abstained_N
    return learned.model, judged, learned.model.explain(contributions, vectors_ND=vectors_RD, num_reasons=config.num_reasons)


def _to_learn_from(reviews: pa.Table, weight_R: Floats, is_rated_R: BoolArray, *, config: ReviewConfig) -> IntArray:
    """Positions of the newest reviews whose stars say good or bad."""
    candidates = np.flatnonzero(is_rated_R & (weight_R != 0))
    at = _microseconds(reviews)[candidates]
    newest = np.lexsort((candidates, -at))[: config.max_rated_reviews]
    return np.sort(candidates[newest]).astype(np.int64)


def _twins(reviews: pa.Table, *, config: ReviewConfig) -> pa.Array:
    author_R = Vocabulary("user", reviews.column("user_id")).positions(reviews.column("user_id"))
    item_R = Vocabulary("item", reviews.column("item_id")).positions(reviews.column("item_id"))
    moments = twin_moments(
        reviews.column("text"), at_N=_microseconds(reviews), author_N=author_R, item_N=item_R, likeness=config.twin_likeness
    )
    return pa.array(moments, mask=moments == np.iinfo(np.int64).max).cast(TIMESTAMP)


def _with_credibility(signals: pa.Table, reviewers: pa.Table) -> pa.Table:
    place = pc.index_in(signals.column("user_id"), value_set=reviewers.column("user_id").combine_chunks())
    # A reviewer whose interactions are not in the mart has shown nothing bad.
    reviewer_R = np.asarray(pc.fill_null(reviewers.column("credibility").take(place), 1.0), dtype=np.float64)
    contradiction_R = np.asarray(signals.column("contradiction"), dtype=np.float64)
    has_twin_R = np.asarray(pc.is_valid(signals.column("twin_at")), dtype=np.float64)
    credibility_R = reviewer_R * (1 - _FAULT * contradiction_R) * (1 - _FAULT * has_twin_R)
    return signals.append_column("reviewer_credibility", pa.array(reviewer_R)).append_column("credibility", pa.array(credibility_R))


def _or_null(values_R: Floats, model: SentimentModel | None) -> pa.Array:
    return pa.nulls(len(values_R), FLOAT) if model is None else pa.array(values_R, FLOAT)


def _microseconds(reviews: pa.Table) -> IntArray:
    return np.asarray(reviews.column("event_at").cast(TIMESTAMP).cast(pa.int64()), dtype=np.int64)
