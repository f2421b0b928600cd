"""Both tables of a day: sentiments with their reasons, contradictions, twins, and what comes of them."""

import numpy as np
import pyarrow as pa
import pytest

from ml.config.pipeline import ReviewConfig
from ml.contracts.behaviour import INTERACTIONS, REVIEWS
from ml.errors import LeakageError
from ml.reviews.signals import in_order, judge_reviews

from .small_worlds import AS_OF, at, crowd, interactions, reviews

CONFIG = ReviewConfig(min_rated_reviews=5)
GOOD = ("lovely warm sound and great value", "非常喜欢，质量很好，推荐", "great tone and lovely neck", "lovely strings at a great price")
BAD = (
    "awful cracked body and broken neck",
    "非常失望，质量很差，退货",
    "broken on arrival and awful service",
    "awful buzz and a broken tuner",
)


def rated() -> list:
    rows = []
    for number in range(40):
        is_good = number % 2 == 0
        words = (GOOD if is_good else BAD)[(number // 2) % 4]
        rows.append(
            (
                f"e{number:02}",
                f"u{number:03}",
                f"i{number:02}",
                f"{words} ({number})",
                5.0 if is_good else 1.0,
                4.0 if is_good else -4.0,
                number,
            )
        )
    return rows


def judged(rows, *, config: ReviewConfig = CONFIG, dimension: int = 4):
    known = in_order(reviews(rows), as_of=AS_OF)
    vectors = np.zeros((known.num_rows, dimension), dtype=np.float32)
    return judge_reviews(known, vectors_RD=vectors, interactions=interactions(crowd()), language="auto", config=config, as_of=AS_OF)


def by_event(found) -> dict[str, dict]:
    return {row["event_id"]: row for row in found.reviews.to_pylist()}


def test_a_text_against_its_stars_is_a_contradiction() -> None:
    lie = ("lie", "u050", "i50", "awful broken cracked body, awful", 5.0, 4.0, 60.0)
    found = by_event(judged([*rated(), lie]))
    assert found["lie"]["sentiment"] < -0.3
    assert found["lie"]["contradiction"] == pytest.approx(-found["lie"]["sentiment"])
    assert found["lie"]["credibility"] == pytest.approx(found["lie"]["reviewer_credibility"] * (1 - found["lie"]["contradiction"] / 2))
    assert found["e00"]["contradiction"] == 0.0
    assert found["lie"]["reasons"][0].startswith("-")


def test_a_review_without_stars_gets_a_sentiment_and_teaches_nothing() -> None:
    unrated = ("silent", "u051", "i51", "lovely great lovely", None, 0.0, 61.0)
    with_it, without = judged([*rated(), unrated]), judged(rated())
    assert by_event(with_it)["silent"]["sentiment"] > 0.3
    assert not by_event(with_it)["silent"]["is_rated"]
    assert with_it.model.gram_weight_V.tobytes() == without.model.gram_weight_V.tobytes()


def test_too_few_stars_give_no_sentiment() -> None:
    found = judged(rated(), config=ReviewConfig(min_rated_reviews=21))
    assert found.model is None
    assert set(found.reviews.column("sentiment").to_pylist()) == {None}
    assert all(found.reviews.column("is_abstained").to_pylist())
    assert set(found.reviews.column("contradiction").to_pylist()) == {0.0}


def test_only_the_newest_stars_are_learned_from() -> None:
    config = ReviewConfig(min_rated_reviews=5, max_rated_reviews=20)
    old_only = ("old", "u052", "i52", "zyzzyva zyzzyva zyzzyva", 5.0, 4.0, 0.0)
    again = ("old2", "u053", "i53", "zyzzyva zyzzyva", 5.0, 4.0, 0.1)
    found = judged([*rated(), old_only, again], config=config)
    assert not any("zyz" in name for name in found.model.features.names.to_pylist())


def test_no_review_at_all_and_one() -> None:
    known = in_order(REVIEWS.empty(), as_of=AS_OF)
    nothing = np.zeros((0, 4), dtype=np.float32)
    found = judge_reviews(known, vectors_RD=nothing, interactions=INTERACTIONS.empty(), language="en", config=CONFIG, as_of=AS_OF)
    assert (found.reviews.num_rows, found.reviewers.num_rows) == (0, 0)
    assert judged(rated()[:1]).reviews.num_rows == 1


def test_vectors_must_be_those_of_the_reviews() -> None:
    known = in_order(reviews(rated()), as_of=AS_OF)
    with pytest.raises(ValueError, match="40 reviews but 3 vectors"):
        judge_reviews(
            known,
            vectors_RD=np.zeros((3, 4), dtype=np.float32),
            interactions=INTERACTIONS.empty(),
            language="en",
            config=CONFIG,
            as_of=AS_OF,
        )


def test_a_review_of_the_future_is_refused() -> None:
    with pytest.raises(LeakageError):
        in_order(reviews(rated()), as_of=at(10))


def test_the_order_of_rows_does_not_show() -> None:
    rows = rated()
    shuffled = [rows[place] for place in np.random.default_rng(4).permutation(len(rows))]
    first, second = judged(rows), judged(shuffled)
    assert first.reviews.equals(second.reviews)
    assert first.reviewers.equals(second.reviewers)


def test_signed_weights_of_zero_say_neither_good_nor_bad() -> None:
    middling = [("mid" + row[0], row[1], row[2], row[3], 3.0, 0.0, row[6]) for row in rated()]
    found = judged([*rated(), *middling])
    assert found.model.gram_weight_V.tobytes() == judged(rated()).model.gram_weight_V.tobytes()
    assert isinstance(found.reviews, pa.Table)
