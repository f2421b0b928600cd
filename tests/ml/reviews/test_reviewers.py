"""Who is credible: every look catches what it looks for, nobody else, and nobody for doing little."""

import numpy as np
import pyarrow as pa
import pytest

from ml.config.pipeline import ReviewConfig
from ml.contracts.meaning import REVIEW_SIGNALS
from ml.errors import LeakageError
from ml.reviews.reviewers import judge_reviewers
from ml.reviews.robust import trust, unusualness

from .small_worlds import AS_OF, START, at, crowd, interactions

CONFIG = ReviewConfig()
PARTS = ("agreement", "resemblance", "company", "calm", "independence", "originality", "candour")


def judged(rows, *, signals: pa.Table | None = None, as_of=AS_OF) -> dict[str, dict]:
    found = judge_reviewers(
        interactions(rows), review_signals=REVIEW_SIGNALS.empty() if signals is None else signals, config=CONFIG, as_of=as_of
    )
    return {row["user_id"]: row for row in found.to_pylist()}


def signal(event: str, user: str, *, contradiction: float = 0.0, twin_day: float | None = None, day: float = 1.0) -> dict:
    return {
        "event_id": event,
        "user_id": user,
        "item_id": "i00",
        "event_at": at(day),
        "weight": 2.0,
        "is_rated": True,
        "sentiment": None,
        "confidence": None,
        "is_abstained": True,
        "contradiction": contradiction,
        "twin_at": None if twin_day is None else at(twin_day),
        "reviewer_credibility": 1.0,
        "credibility": 1.0,
        "reasons": [],
    }


def signals(rows: list[dict]) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=REVIEW_SIGNALS.schema)


def test_an_honest_crowd_is_believed() -> None:
    found = judged(crowd())
    assert np.median([row["credibility"] for row in found.values()]) == 1.0
    assert np.quantile([row["credibility"] for row in found.values()], 0.05) > 0.8


def test_credibility_is_the_product_of_its_parts_and_reasons_are_the_low_ones() -> None:
    rows = crowd() + [(f"spam{number}", f"i{item:02}", 2.5, 100 + 0.001 * item) for number in range(3) for item in range(0, 80, 9)]
    for row in judged(rows).values():
        assert row["credibility"] == pytest.approx(np.prod([row[part] for part in PARTS]))
        assert [reason.split()[0] for reason in row["reasons"]] == sorted(
            (part for part in PARTS if row[part] < 0.9), key=lambda part: (row[part], PARTS.index(part))
        )


def test_ratings_against_the_crowd() -> None:
    liked = {item for _, item, weight, _ in crowd() if weight > 0}
    rows = crowd() + [("hater", item, -2.5 if item in liked else 2.5, 7.0 * place) for place, item in enumerate(sorted(liked)[:15])]
    found = judged(rows)["hater"]
    assert found["agreement"] < 0.1
    assert found["reasons"][0].startswith("agreement")


def test_without_dislikes_numbers_are_deeds_and_nobody_disagrees() -> None:
    rows = [(user, item, abs(weight), day) for user, item, weight, day in crowd()] + [
        ("buyer", f"i{item:02}", 50.0, item) for item in range(15)
    ]
    assert all(row["agreement"] == 1.0 for row in judged(rows).values())


def test_a_ring_that_goes_from_item_to_item() -> None:
    ring = [(user, f"i{item:02}", 2.0, 50.0 + 0.01 * item) for user in ("ring1", "ring2") for item in (1, 42, 13, 77)]
    found = judged(crowd() + ring)
    assert found["ring1"]["independence"] < 0.3
    assert found["ring1"]["credibility"] < 0.3
    assert min(row["independence"] for user, row in found.items() if not user.startswith("ring")) == 1.0


def test_two_items_shared_with_somebody_are_chance() -> None:
    pair = [(user, f"i{item:02}", 2.0, 50.0) for user in ("a", "b") for item in (1, 42)]
    assert judged(crowd() + pair)["a"]["independence"] == 1.0


def test_bursts_on_an_item() -> None:
    burst = [(f"burst{number}", f"i{number % 3:02}", 2.0, 120.0 + 0.001 * number) for number in range(12)]
    burst += [(f"burst{number}", f"i{3 + number % 3:02}", 2.0, 120.01 + 0.001 * number) for number in range(12)]
    found = judged(crowd() + burst)
    assert max(found[f"burst{number}"]["calm"] for number in range(12)) < 0.5
    assert np.mean([row["calm"] for user, row in found.items() if user.startswith("u")]) > 0.95


def test_accounts_with_random_tastes_that_push_the_same_item() -> None:
    """No text, no burst, no deviation from the item means but on the target: their taste and their company tell."""
    rng = np.random.default_rng(2)
    rows = crowd(num_users=200)
    for number in range(8):
        chosen = rng.choice(80, 14, replace=False)
        rows += [(f"bot{number}", f"i{item:02}", 0.5, float(rng.uniform(0, 175))) for item in chosen]
        rows += [(f"bot{number}", "target", 2.0, float(rng.uniform(0, 175)))]
    found = judged(rows)
    bots = [row["credibility"] for user, row in found.items() if user.startswith("bot")]
    honest = [row["credibility"] for user, row in found.items() if user.startswith("u")]
    assert np.mean(np.array(bots)[:, None] < np.array(honest)[None, :]) > 0.9
    assert np.median(bots) < 0.3


def test_who_did_little_is_believed() -> None:
    rows = [*crowd(), ("new", "i03", -2.5, 170.0), ("newer", "i03", 2.0, 171.0), ("newer", "i71", 2.0, 172.0)]
    found = judged(rows)
    assert found["new"]["credibility"] > 0.95
    assert found["newer"]["credibility"] > 0.95


def test_copied_texts_and_texts_against_their_stars() -> None:
    rows = crowd()
    told = signals(
        [signal(f"c{number}", "u000", twin_day=2.0) for number in range(6)]
        + [signal(f"m{number}", "u001", contradiction=0.9) for number in range(6)]
        + [signal("one", "u002", contradiction=1.0, twin_day=3.0), signal("fine", "u003")]
    )
    found = judged(rows, signals=told)
    assert found["u000"]["originality"] < 0.2
    assert found["u001"]["candour"] < 0.3
    assert found["u002"]["originality"] > 0.9
    assert found["u002"]["candour"] > 0.9
    assert (found["u003"]["originality"], found["u003"]["num_reviews"]) == (1.0, 1)


def test_what_came_to_light_later_is_not_known_before() -> None:
    rows = [row for row in crowd() if row[3] < 80]
    told = signals(
        [signal(f"c{number}", "u000", twin_day=100.0) for number in range(6)] + [signal("late", "u001", contradiction=1.0, day=90)]
    )
    early = judged(rows, signals=told, as_of=at(85))
    assert early["u000"]["originality"] == 1.0
    assert early["u001"]["num_reviews"] == 0
    assert judged(rows, signals=told, as_of=at(101))["u000"]["originality"] < 0.5


def test_an_interaction_of_the_future_is_refused() -> None:
    with pytest.raises(LeakageError):
        judged(crowd(), as_of=at(10))


def test_nobody_and_one_user() -> None:
    assert judged([]) == {}
    assert judged([("only", "一", 2.0, 1.0)])["only"]["credibility"] == 1.0


def test_a_small_crowd_has_no_usual() -> None:
    rows = [(f"u{user}", f"i{item}", float(2 - user % 4), 10.0 * item + user) for user in range(8) for item in range(5)]
    assert {row["credibility"] for row in judged(rows).values()} == {1.0}


def test_the_order_of_rows_does_not_show() -> None:
    rows = crowd()
    order = np.random.default_rng(1).permutation(len(rows))
    assert judged(rows) == judged([rows[place] for place in order])


def test_robust_scores_ignore_the_guilty() -> None:
    values = np.concatenate([np.linspace(-1, 1, 41), np.full(15, 1000.0)])
    everyone = np.ones(56, dtype=bool)
    assert unusualness(values, is_judged_U=everyone, smallest_scale=0.01)[20] == pytest.approx(-0.67, abs=0.4)
    assert unusualness(np.ones(30), is_judged_U=np.ones(30, dtype=bool), smallest_scale=0.01).tolist() == [0.0] * 30


def test_trust_is_whole_without_suspicion_and_half_at_the_half() -> None:
    assert trust(np.array([-5.0, 0.0, 1.0, 3.0, 30.0]), half=3.0)[:4].tolist() == [1.0, 1.0, 1.0, 0.5]
    assert trust(np.array([30.0]), half=3.0)[0] < 1e-5
    assert START < AS_OF
