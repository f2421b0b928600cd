"""What interactions count for: by the reviewer's credibility, and by the text where no stars were given."""

import pyarrow as pa
import pytest

from ml.config.pipeline import ReviewConfig
from ml.contracts.meaning import REVIEW_SIGNALS, REVIEWER_SIGNALS
from ml.reviews.weighing import credibility_of, weigh_interactions

from .small_worlds import AS_OF, at, interactions

CONFIG = ReviewConfig(min_credibility=0.01)
ROWS = [("ann", "i1", 2.0, 1.0), ("ann", "i2", 0.5, 2.0), ("bob", "i1", -4.0, 1.0), ("cat", "i1", 1.0, 3.0)]


def reviewer(user: str, credibility: float) -> dict:
    parts = dict.fromkeys(("agreement", "resemblance", "company", "calm", "independence", "originality", "candour"), 1.0)
    return {"user_id": user, "num_items": 1, "num_reviews": 0, "credibility": credibility, **parts, "reasons": []}


def review(user: str, item: str, *, weight: float, sentiment: float | None, is_rated: bool, day: float, is_abstained: bool = False) -> dict:
    return {
        "event_id": f"{user}{item}{day}",
        "user_id": user,
        "item_id": item,
        "event_at": at(day),
        "weight": weight,
        "is_rated": is_rated,
        "sentiment": sentiment,
        "confidence": None,
        "is_abstained": is_abstained,
        "contradiction": 0.0,
        "twin_at": None,
        "reviewer_credibility": 1.0,
        "credibility": 1.0,
        "reasons": [],
    }


def weights(reviewers: list[dict], reviews: list[dict] = (), *, as_of=AS_OF) -> list[float]:
    found = weigh_interactions(
        interactions(ROWS),
        review_signals=pa.Table.from_pylist(list(reviews), schema=REVIEW_SIGNALS.schema),
        reviewer_signals=pa.Table.from_pylist(reviewers, schema=REVIEWER_SIGNALS.schema),
        config=CONFIG,
        as_of=as_of,
    )
    assert found.schema.names == interactions(ROWS).schema.names
    return found.column("weight").to_pylist()


def test_with_nothing_to_doubt_the_table_stays_as_it_is() -> None:
    credible = pa.Table.from_pylist([reviewer("ann", 1.0)], schema=REVIEWER_SIGNALS.schema)
    found = weigh_interactions(
        interactions(ROWS), review_signals=REVIEW_SIGNALS.empty(), reviewer_signals=credible, config=CONFIG, as_of=AS_OF
    )
    assert found.equals(interactions(ROWS))


def test_weights_shrink_by_credibility_and_keep_their_sign() -> None:
    assert weights([reviewer("ann", 0.5), reviewer("bob", 0.25)]) == [1.0, 0.25, -1.0, 1.0]


def test_nothing_is_deleted() -> None:
    assert weights([reviewer("bob", 0.0)]) == [2.0, 0.5, pytest.approx(-0.04), 1.0]


def test_a_review_without_stars_counts_by_its_sentiment_at_the_size_of_rated_ones() -> None:
    told = [
        review("ann", "i1", weight=2.0, sentiment=0.9, is_rated=True, day=1.0),
        review("bob", "i1", weight=-4.0, sentiment=-0.9, is_rated=True, day=1.0),
        review("ann", "i2", weight=0.5, sentiment=-0.8, is_rated=False, day=2.0),
    ]
    # The median magnitude of rated reviews is 3.
    assert weights([], told) == [2.0, pytest.approx(-2.4), -4.0, 1.0]


def test_a_withheld_or_a_later_sentiment_changes_nothing() -> None:
    rated = review("ann", "i1", weight=2.0, sentiment=0.9, is_rated=True, day=1.0)
    withheld = review("ann", "i2", weight=0.5, sentiment=-0.1, is_rated=False, day=2.0, is_abstained=True)
    assert weights([], [rated, withheld]) == [2.0, 0.5, -4.0, 1.0]
    said = review("ann", "i2", weight=0.5, sentiment=-0.8, is_rated=False, day=2.0)
    assert weights([], [rated, said], as_of=at(1.5)) == [2.0, 0.5, -4.0, 1.0]


def test_two_texts_on_one_day_both_count() -> None:
    rated = review("ann", "i1", weight=2.0, sentiment=0.9, is_rated=True, day=1.0)
    said = [review("cat", "i1", weight=0.5, sentiment=0.5, is_rated=False, day=3.0 + part) for part in (0.0, 0.1)]
    assert weights([], [rated, *said])[3] == pytest.approx(1.0 + 2 * (0.5 * 2.0 - 0.5))


def test_unknown_users_are_credible() -> None:
    table = pa.Table.from_pylist([reviewer("ann", 0.3)], schema=REVIEWER_SIGNALS.schema)
    assert credibility_of(pa.array(["ann", "who"]), reviewer_signals=table, config=CONFIG).tolist() == [0.3, 1.0]
