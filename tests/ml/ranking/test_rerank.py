"""Re-ranking: with every rule off nothing moves; with one on, literal lists; under any, no duplicates and caps that hold."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.config.pipeline import RerankingConfig
from ml.contracts.behaviour import ITEMS
from ml.errors import ConfigError
from ml.ids import Vocabulary
from ml.ranking.diversity import MarginalRelevance
from ml.ranking.exploration import generator_of, num_slots, propensities
from ml.ranking.item_facts import ItemFacts, Labels
from ml.ranking.rerank import Reranked, rerank

NOW = datetime(2026, 3, 1, tzinfo=UTC)
NEVER = np.datetime64("NaT")


def facts(categories, *, vectors=None, age_days=None, gone=(), **labels) -> ItemFacts:
    num_items = len(categories)
    ages = age_days or [None] * num_items
    created = [NEVER if age is None else np.datetime64(NOW.replace(tzinfo=None) - timedelta(days=age), "us") for age in ages]
    return ItemFacts(
        np.eye(num_items, dtype=np.float32) if vectors is None else np.asarray(vectors, dtype=np.float32),
        {name: Labels.of(values) for name, values in {"category": categories, **labels}.items()},
        np.array(created, dtype="datetime64[us]"),
        np.isin(np.arange(num_items), gone),
    )


def ranked(known: ItemFacts, scores=None, *, config=RerankingConfig(), k=3, token="t", items=None, **options) -> Reranked:  # noqa: B008
    item_N = np.arange(len(known)) if items is None else np.array(items, dtype=np.int64)
    score_N = np.linspace(0.9, 0.1, len(item_N)) if scores is None else np.array(scores)
    return rerank(item_N, score_N.astype(np.float32), facts=known, config=config, k=k, as_of=NOW, token=token, **options)


def listed(found: Reranked) -> list[int]:
    return [place.item_index for place in found.places]


def told(found: Reranked, language="en") -> list[list[str]]:
    return [[note.text(language) for note in place.notes] for place in found.places]


FIVE = facts(["a", "a", "a", "b", None])


def test_by_default_the_first_k_stand_as_they_came_without_a_note() -> None:
    found = ranked(FIVE, items=[4, 2, 0, 1, 3])
    assert listed(found) == [4, 2, 0]
    assert told(found) == [[], [], []]
    assert [place.candidate_place for place in found.places] == [0, 1, 2]
    assert [place.propensity for place in found.places] == [1.0] * 3
    assert (found.left_out, found.shortfall) == ({}, "")


def test_equal_scores_keep_their_order() -> None:
    assert listed(ranked(FIVE, [0.5] * 5, items=[3, 1, 4, 0, 2], k=5, config=RerankingConfig(caps={"category": 5}))) == [3, 1, 4, 0, 2]


def test_a_cap_closes_a_category_and_the_item_behind_says_so() -> None:
    found = ranked(FIVE, config=RerankingConfig(caps={"category": 2}))
    assert listed(found) == [0, 1, 3]
    assert told(found) == [[], [], ["moved up: category a has its 2 already"]]
    assert told(found, "zh")[2] == ["上移：category“a”已有2个"]


def test_an_item_without_the_attribute_is_never_capped() -> None:
    assert listed(ranked(facts([None] * 4), config=RerankingConfig(caps={"category": 1}), k=4)) == [0, 1, 2, 3]


def test_caps_on_several_attributes_hold_together() -> None:
    known = facts(["a", "a", "b", "b"], provider=["x", "y", "x", "z"])
    assert listed(ranked(known, config=RerankingConfig(caps={"category": 1, "provider": 1}), k=3)) == [0, 3]


def test_a_list_that_caps_shorten_says_so() -> None:
    found = ranked(FIVE, config=RerankingConfig(caps={"category": 1}), k=5)
    assert listed(found) == [0, 3, 4]
    assert found.left_out == {"cap": 2}
    assert found.shortfall == "3 of 5 places filled: 5 candidate(s), 2 left out by caps"


def test_what_stands_above_already_counts_for_caps_and_variety() -> None:
    capped = RerankingConfig(caps={"category": 2})
    assert listed(ranked(FIVE, items=[1, 2, 3, 4], config=capped, above=np.array([0]))) == [1, 3, 4]
    assert listed(ranked(FIVE, items=[2, 3], config=capped, above=np.array([0, 1]))) == [3]
    alike = facts(["a", "b", "c"], vectors=[[1, 0], [1, 0], [0, 1]])
    assert listed(ranked(alike, items=[1, 2], k=1, diversity=0.9, above=np.array([0]))) == [2]


def test_seen_and_out_of_stock_items_are_left_out_and_counted() -> None:
    found = ranked(facts(list("abcde"), gone=(1, 2)), seen=np.array([0, 1]))
    assert listed(found) == [3, 4]
    assert found.left_out == {"seen": 2, "out of stock": 1}
    assert found.shortfall == "2 of 3 places filled: 5 candidate(s), 2 left out as seen, 1 left out as out of stock"
    assert listed(ranked(facts(list("abcde")), config=RerankingConfig(drop_seen=False), seen=np.array([0]))) == [0, 1, 2]


def test_freshness_halves_with_its_half_life_and_says_what_it_added() -> None:
    known = facts(["a"] * 4, age_days=[None, 30, 0, 60])
    config = RerankingConfig(freshness_weight=0.4, freshness_half_life_days=30.0)
    # 0.5 + 0, 0.4 + 0.2, 0.3 + 0.4, 0.2 + 0.1
    found = ranked(known, [0.5, 0.4, 0.3, 0.2], config=config, k=4)
    assert listed(found) == [2, 1, 0, 3]
    assert told(found) == [["new: +0.400 for being 0 days old"], ["new: +0.200 for being 30 days old"], [], found_note(0.1, 60)]
    assert [round(place.score, 6) for place in found.places] == [0.3, 0.4, 0.5, 0.2]


def found_note(boost: float, days: int) -> list[str]:
    return [f"new: +{boost:.3f} for being {days} days old"]


def test_an_item_from_the_future_counts_as_new() -> None:
    assert facts(["a"], age_days=[-5]).age_in_days(np.array([0]), as_of=NOW).tolist() == [0.0]


def test_variety_takes_the_unlike_first_and_says_whom_it_overtook() -> None:
    twins = [[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]
    found = ranked(facts(["a"] * 3, vectors=twins), [0.9, 0.8, 0.5], diversity=0.5)
    # place 2: twin 0.5 x 0.75 - 0.5 x 1, the other 0.5 x 0 - 0
    assert listed(found) == [0, 2, 1]
    assert told(found)[1] == ["variety: taken before 1 that score higher but are closer to what stands above"]
    assert told(found)[0] == told(found)[2] == []


def test_a_request_overrides_the_strength_of_variety() -> None:
    twins = facts(["a"] * 3, vectors=[[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    always = RerankingConfig(diversity=0.9)
    assert listed(ranked(twins, config=always)) == [0, 2, 1]
    assert listed(ranked(twins, config=always, diversity=0.0)) == [0, 1, 2]


def test_marginal_relevance_equals_its_formula_computed_anew() -> None:
    rng = np.random.default_rng(0)
    vectors_ND = rng.normal(size=(12, 4)).astype(np.float32)
    vectors_ND /= np.linalg.norm(vectors_ND, axis=1, keepdims=True)
    score_N = np.sort(rng.normal(size=12))[::-1]
    value, taken = MarginalRelevance(score_N, vectors_ND=vectors_ND, strength=0.3), [0, 7, 3]
    for place in taken:
        value.take(place)
    relevance_N = (score_N - score_N.min()) / (score_N.max() - score_N.min())
    nearest_N = [max(float(vectors_ND[place] @ vectors_ND[above]) for above in taken) for place in range(12)]
    np.testing.assert_allclose(value.value_N, 0.7 * relevance_N - 0.3 * np.array(nearest_N), atol=1e-6)


EXPLORING = RerankingConfig(exploration=0.4)
MANY = facts(["a"] * 12)
DRAWS = 1000


def test_the_last_slots_are_drawn_from_beyond_the_list() -> None:
    found = ranked(MANY, config=EXPLORING, k=5)
    assert listed(found)[:3] == [0, 1, 2]
    assert all(place.item_index >= 5 and place.is_explored for place in found.places[3:])
    assert [place.propensity for place in found.places] == pytest.approx([1.0, 1.0, 1.0, 1 / 7, 1 / 6])
    assert told(found)[3] == ["a try: drawn with probability 0.1429 from 7 further candidates"]


def test_the_same_token_gives_the_same_list_and_others_another() -> None:
    lists = {tuple(listed(ranked(MANY, config=EXPLORING, k=5, token=f"t{n}"))) for n in range(30)}
    assert len(lists) > 10
    assert ranked(MANY, config=EXPLORING, k=5, token="t1") == ranked(MANY, config=EXPLORING, k=5, token="t1")


def test_items_are_drawn_as_often_as_their_logged_propensity_says() -> None:
    config = RerankingConfig(exploration=0.25, exploration_temperature=0.3)
    drawn: Counter[int] = Counter()
    logged: dict[int, float] = {}
    for number in range(DRAWS):
        last = ranked(MANY, config=config, k=4, token=str(number)).places[-1]
        drawn[last.item_index] += 1
        logged[last.item_index] = last.propensity
    assert set(logged) == set(range(4, 12))
    assert sum(logged.values()) == pytest.approx(1.0)
    assert logged[4] > 2 * logged[11]
    for item, propensity in logged.items():
        assert abs(drawn[item] / DRAWS - propensity) < 4 * np.sqrt(propensity * (1 - propensity) / DRAWS)


def test_inverse_propensities_tell_the_mean_of_what_was_hardly_shown() -> None:
    """The point of logging them: an unbiased estimate of what a uniform draw would have earned."""
    reward_I = np.linspace(0.0, 1.0, 12)
    config = RerankingConfig(exploration=0.25, exploration_temperature=0.3)
    last = [ranked(MANY, config=config, k=4, token=f"u{n}").places[-1] for n in range(DRAWS)]
    estimate = np.mean([reward_I[place.item_index] / place.propensity / 8 for place in last])
    assert estimate == pytest.approx(reward_I[4:].mean(), abs=0.06)


def test_nothing_beyond_the_list_means_nothing_is_drawn() -> None:
    found = ranked(MANY, config=EXPLORING, k=12)
    assert listed(found) == list(range(12))
    assert not any(place.is_explored for place in found.places)


def test_slots_are_a_rounded_share() -> None:
    assert [num_slots(share, k=10) for share in (0.0, 0.04, 0.05, 0.1, 1.0)] == [0, 0, 1, 1, 10]


def test_no_candidates_give_an_empty_list_that_says_so() -> None:
    for config in (RerankingConfig(), RerankingConfig(caps={"category": 1}, exploration=0.5, diversity=0.5, freshness_weight=1.0)):
        found = ranked(FIVE, config=config, items=[])
        assert found == Reranked((), {}, "0 of 3 places filled: 0 candidate(s)")


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"k": 0}, ValueError, "k must be at least 1"),
        ({"items": [0, 0], "scores": [0.5, 0.4]}, ValueError, "comes twice"),
        ({"items": [0, 9], "scores": [0.5, 0.4]}, ValueError, "from 0 to 9, the facts are of 5 items"),
        ({"items": [0, 1], "scores": [0.4, 0.5]}, ValueError, "best first"),
        ({"items": [0, 1], "scores": [np.nan, 0.5]}, ValueError, "finite"),
        ({"items": [0, 1], "scores": [0.5]}, ValueError, "one score per item"),
        ({"diversity": 1.5}, ValueError, "diversity must be between 0 and 1"),
        ({"config": RerankingConfig(caps={"provider": 1})}, ConfigError, "caps names provider; items were read with: category"),
    ],
)
def test_bad_requests_are_refused_by_name(change, error, message) -> None:
    with pytest.raises(error, match=message):
        ranked(FIVE, **change)


def item_rows(*rows: dict) -> pa.Table:
    usual = {"day": NOW.date(), "title": "t", "tags": [], "is_catalogued": True}
    return pa.Table.from_pylist([usual | row for row in rows], schema=ITEMS.schema)


def test_facts_are_read_from_the_items_table_by_position() -> None:
    items = item_rows(
        {"item_id": "i2", "category": "boots", "created_at": NOW},
        {"item_id": "elsewhere", "category": "hats"},
        {"item_id": "i1"},
    )
    order, vectors = Vocabulary("item", ["i1", "i2", "i3"]), np.array([[2.0, 0.0], [0.0, 3.0], [0.0, 0.0]], dtype=np.float32)
    attributes = [{"in_stock": ("true",)}, {"brand": ("Acme", "Other"), "in_stock": ("false",)}, {}]
    read = {"order": order, "vectors_ID": vectors, "attributes_I": attributes, "labelled": ["brand"], "out_of_stock_values": ["FALSE"]}
    found = ItemFacts.from_table(items, stock_attribute="in_stock", **read)
    assert [[labels.names[code] if code >= 0 else None for code in labels.code_I] for labels in found.labels.values()] == [
        [None, "boots", None],
        [None, "Acme", None],
    ]
    assert found.is_out_of_stock_I.tolist() == [False, True, False]
    assert found.age_in_days(np.arange(3), as_of=NOW + timedelta(hours=12)).tolist() == [np.inf, 0.5, np.inf]
    assert np.linalg.norm(found.vectors_ID, axis=1).tolist() == [1.0, 1.0, 0.0]
    with pytest.raises(ConfigError, match="names stock, which no item has; items have: category, brand, in_stock"):
        ItemFacts.from_table(items, stock_attribute="stock", **read)
    with pytest.raises(ValueError, match="3 items"):
        ItemFacts.from_table(items, order=order, vectors_ID=vectors, attributes_I=attributes[:2])
    with pytest.raises(ValueError, match="3 items"):
        ItemFacts.from_table(items, order=order, vectors_ID=vectors[:2], attributes_I=attributes)


@st.composite
def requests(draw):
    num_items = draw(st.integers(1, 12))
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(num_items, 3))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    known = facts(
        [[None, "a", "b", "c"][code] for code in rng.integers(4, size=num_items)],
        vectors=vectors,
        age_days=[int(age) for age in rng.integers(0, 100, size=num_items)],
        gone=np.flatnonzero(rng.random(num_items) < 0.2),
        provider=[["x", "y"][code] for code in rng.integers(2, size=num_items)],
    )
    caps = draw(st.dictionaries(st.sampled_from(["category", "provider"]), st.integers(1, 4)))
    config = RerankingConfig(
        caps=caps,
        diversity=draw(st.sampled_from([0.0, 0.3, 1.0])),
        freshness_weight=draw(st.sampled_from([0.0, 0.2])),
        exploration=draw(st.sampled_from([0.0, 0.3, 1.0])),
        exploration_pool=draw(st.integers(1, 12)),
        exploration_temperature=draw(st.sampled_from([None, 0.1])),
    )
    items = rng.permutation(num_items)[: draw(st.integers(0, num_items))]
    # Rounded, so that some tie.
    scores = np.sort(np.round(rng.uniform(-1, 1, size=len(items)), 1))[::-1]
    return known, config, items, scores, draw(st.integers(1, 15)), rng.permutation(num_items)[: draw(st.integers(0, 3))]


@settings(max_examples=150, deadline=None)
@given(requests())
def test_whatever_the_rules_lists_hold_what_they_promise(request) -> None:
    known, config, items, scores, k, seen = request
    found = ranked(known, scores, config=config, k=k, items=items, seen=seen)
    shown = listed(found)
    allowed = [item for item in items if item not in seen and not known.is_out_of_stock_I[item]]
    assert len(set(shown)) == len(shown) <= k
    assert set(shown) <= set(allowed)
    for attribute, limit in config.caps.items():
        codes = known.labels[attribute].code_I[shown]
        assert all(count <= limit for code, count in Counter(codes.tolist()).items() if code >= 0)
    assert (len(shown) == k) == (found.shortfall == "")
    assert len(shown) == min(k, len(allowed)) or found.left_out["cap"] == len(allowed) - len(shown)
    assert all(0 < place.propensity <= 1 and (place.is_explored or place.propensity == 1) for place in found.places)
    assert all(items[place.candidate_place] == place.item_index for place in found.places)
    assert found == ranked(known, scores, config=config, k=k, items=items, seen=seen)


@settings(max_examples=100, deadline=None)
@given(requests())
def test_strength_zero_is_the_identity(request) -> None:
    known, _, items, scores, k, seen = request
    found = ranked(known, scores, k=k, items=items, seen=seen, diversity=0.0)
    assert listed(found) == [item for item in items if item not in seen and not known.is_out_of_stock_I[item]][:k]


@settings(deadline=None)
@given(st.lists(st.floats(-1, 1), min_size=1, max_size=50), st.one_of(st.none(), st.floats(0.001, 10)))
def test_propensities_of_a_slot_sum_to_one(scores, temperature) -> None:
    found = propensities(np.array(scores), temperature=temperature)
    assert found.sum() == pytest.approx(1.0)
    assert (found >= 0).all()
    assert generator_of("a").random() != generator_of("b").random()
