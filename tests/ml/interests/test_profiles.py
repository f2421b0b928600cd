"""What users are interested in: computed by hand, in any order, at any time, without the future."""

from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.config.pipeline import InterestConfig
from ml.contracts.behaviour import INTERACTIONS
from ml.contracts.meaning import ITEM_INTERESTS, TEXT_INTERESTS, USER_INTERESTS
from ml.errors import LeakageError
from ml.interests import profiles
from ml.interests.profiles import weigh_user_interests
from tests.ml.interests.catalogues import AS_OF, make_interactions, make_item_interests, make_text_interests, shuffled

ITEMS = make_item_interests([("hat", "tag:wool", 1.0), ("sock", "tag:wool", 0.6), ("sock", "tag:红", 0.8), ("pan", "tag:steel", 1.0)])
CONFIG = InterestConfig(half_life_days=10)
NO_TEXTS = TEXT_INTERESTS.empty()


def weights_of(table: pa.Table) -> dict[tuple[str, str], float]:
    return {(row["user_id"], row["interest_id"]): row["weight"] for row in table.to_pylist()}


def recent_of(table: pa.Table) -> dict[tuple[str, str], float]:
    return {(row["user_id"], row["interest_id"]): row["recent_weight"] for row in table.to_pylist()}


def weigh(
    interactions: pa.Table,
    *,
    config: InterestConfig = CONFIG,
    item_interests: pa.Table = ITEMS,
    texts: pa.Table = NO_TEXTS,
    as_of: datetime = AS_OF,
) -> pa.Table:
    return weigh_user_interests(interactions, item_interests=item_interests, text_interests=texts, config=config, as_of=as_of)


def test_weights_by_hand() -> None:
    found = weigh(make_interactions([("u", "hat", 1, 10), ("u", "sock", 3, 20), ("u", "pan", -1, 10)]))
    hat, sock, pan = np.log(2) / 2, np.log(4) / 4, -np.log(2) / 2
    wool, red, steel = (hat + 0.6 * sock) * 2 / 3, 0.8 * sock / 2, pan / 2
    expected = {("u", "tag:wool"): 1.0, ("u", "tag:红"): red / wool, ("u", "tag:steel"): steel / wool}
    assert weights_of(found) == pytest.approx(expected)
    row = found.to_pylist()[1]
    assert row["interest_id"] == "tag:wool"
    assert row["num_items"] == 2
    assert row["item_ids"] == ["hat", "sock"]
    assert row["item_weights"] == pytest.approx([hat, 0.6 * sock])
    assert row["first_seen_at"] == AS_OF - timedelta(days=20)
    assert row["last_seen_at"] == AS_OF - timedelta(days=10)


def test_several_days_on_one_item_are_summed_then_damped() -> None:
    found = weigh(make_interactions([("u", "hat", 1, 10), ("u", "hat", 4, 20), ("u", "pan", 3, 10)]))
    assert weights_of(found) == pytest.approx({("u", "tag:wool"): np.log1p(1 + 4 / 2) / np.log1p(3), ("u", "tag:steel"): 1.0})
    assert found.to_pylist()[1]["num_items"] == 1


def test_one_purchase_does_not_drown_three_views() -> None:
    item_interests = make_item_interests([("a", "x", 1.0), ("b", "y", 1.0), ("c", "y", 1.0), ("d", "y", 1.0)])
    found = weights_of(weigh(make_interactions([("u", "a", 4, 1), *(("u", item, 1, 1) for item in "bcd")]), item_interests=item_interests))
    assert found["u", "y"] == 1.0
    assert 0.3 < found["u", "x"] < 1.0


def test_two_taste_groups_come_apart() -> None:
    item_interests = make_item_interests([(f"{group}{row}", group, 1.0) for group in "ab" for row in range(5)])
    liked = [(f"user-{group}", f"{group}{row}", 1.0, row + 1) for group in "ab" for row in range(5)]
    disliked = [(f"user-{group}", f"{other}0", -1.0, 1) for group, other in (("a", "b"), ("b", "a"))]
    found = weights_of(weigh(make_interactions(liked + disliked), item_interests=item_interests))
    for group, other in (("a", "b"), ("b", "a")):
        assert found[f"user-{group}", group] == 1.0
        assert -1.0 < found[f"user-{group}", other] < 0.0


def test_time_alone_changes_no_profile() -> None:
    interactions = make_interactions([("u", "hat", 2, 10), ("u", "hat", 1, 15), ("u", "sock", -3, 20), ("u", "pan", 1, 300)])
    texts = make_text_interests([("u", None, "tag:steel", 1, 30), ("u", "hat", "tag:wool", -0.5, 12)])
    now = weigh(interactions, texts=texts)
    later = weigh(interactions, texts=texts, as_of=AS_OF + timedelta(days=3000))
    assert weights_of(later) == pytest.approx(weights_of(now))
    assert recent_of(later) == pytest.approx(recent_of(now))


def test_evidence_is_of_the_interests_own_side() -> None:
    found = weigh(make_interactions([("u", "hat", -4, 1), ("u", "sock", 1, 1)])).to_pylist()
    wool = next(row for row in found if row["interest_id"] == "tag:wool")
    assert wool["weight"] < 0
    assert wool["item_ids"] == ["hat"]
    assert wool["num_items"] == 2


def test_evidence_and_interests_are_limited_to_the_strongest() -> None:
    item_interests = make_item_interests([(f"i{row}", "x", 0.1 * row) for row in range(1, 9)] + [("i1", "y", 0.2), ("i2", "z", 0.01)])
    config = InterestConfig(max_per_user=2, max_evidence_items=3)
    interactions = make_interactions([("u", f"i{row}", 1, 1) for row in range(1, 9)])
    found = weigh(interactions, config=config, item_interests=item_interests).to_pylist()
    assert [row["interest_id"] for row in found] == ["x", "y"]
    assert found[0]["item_ids"] == ["i8", "i7", "i6"]


def test_equals_go_by_id() -> None:
    item_interests = make_item_interests([("i", interest, 0.5) for interest in "dcba"])
    found = weigh(make_interactions([("u", "i", 1, 1)]), config=InterestConfig(max_per_user=2), item_interests=item_interests)
    assert found.column("interest_id").to_pylist() == ["a", "b"]


def test_likes_and_dislikes_that_cancel_leave_nothing() -> None:
    assert weigh(make_interactions([("u", "hat", 1, 5), ("u", "hat", -1, 5)])).num_rows == 0
    item_interests = make_item_interests([("a", "x", 0.3), ("b", "x", 0.3), ("b", "y", 0.1)])
    found = weigh(make_interactions([("u", "a", 1, 5), ("u", "b", -1, 5)]), item_interests=item_interests)
    assert weights_of(found) == {("u", "y"): -1.0}


def test_items_that_say_nothing_and_no_rows_at_all() -> None:
    for interactions, item_interests in (
        (make_interactions([("u", "unknown", 1, 1)]), ITEMS),
        (make_interactions([("u", "hat", 1, 1)]), ITEM_INTERESTS.empty()),
        (INTERACTIONS.empty(), ITEMS),
        (INTERACTIONS.empty(), ITEM_INTERESTS.empty()),
    ):
        found = weigh(interactions, item_interests=item_interests)
        assert found.num_rows == 0
        assert found.schema.equals(USER_INTERESTS.schema)


def test_a_search_gives_an_interest_to_a_user_who_met_nothing() -> None:
    (row,) = weigh(INTERACTIONS.empty(), texts=make_text_interests([("u", None, "tag:red", 1, 4)])).to_pylist()
    assert (row["user_id"], row["interest_id"], row["weight"], row["recent_weight"]) == ("u", "tag:red", 1.0, 1.0)
    assert (row["num_items"], row["num_texts"], row["item_ids"], row["item_weights"]) == (0, 1, [], [])
    assert row["first_seen_at"] == row["last_seen_at"] == AS_OF - timedelta(days=4)


def test_texts_by_hand() -> None:
    texts = make_text_interests(
        [
            ("u", None, "tag:steel", 1, 10),
            ("u", None, "tag:steel", 0.6, 20),
            ("u", "hat", "tag:wool", -0.8, 10),
            ("u", "unmet", "tag:wool", 1, 10),
        ]
    )
    config = InterestConfig(half_life_days=10, text_weight=2, review_text_share=0.5)
    found = weigh(make_interactions([("u", "hat", 1, 10)]), texts=texts, config=config)
    steel = np.log1p(2 * (1 + 0.6 / 2)) / 2 * 2 / 3
    met, bad, good = np.log(2) / 2, -np.log1p(0.8) / 2, np.log1p(1.0) / 2
    wool = (met + bad + good) * 3 / 4
    assert weights_of(found) == pytest.approx({("u", "tag:steel"): 1.0, ("u", "tag:wool"): wool / steel})
    of_steel, of_wool = found.to_pylist()
    assert (of_steel["num_items"], of_steel["num_texts"], of_steel["item_ids"]) == (0, 2, [])
    assert (of_wool["num_items"], of_wool["num_texts"]) == (2, 2)
    # Hat gave a like and a word against it: together they are one share, on the interest's side.
    assert of_wool["item_ids"] == ["unmet", "hat"]
    assert of_wool["item_weights"] == pytest.approx([good, met + bad])
    assert (of_steel["first_seen_at"], of_steel["last_seen_at"]) == (AS_OF - timedelta(days=20), AS_OF - timedelta(days=10))


def test_a_bad_review_lowers_an_interest_and_alone_makes_a_dislike() -> None:
    liked, bad = make_interactions([("u", "hat", 1, 5), ("u", "pan", 1, 5)]), make_text_interests([("u", "hat", "tag:wool", -0.9, 4)])
    assert weights_of(weigh(liked, texts=bad))["u", "tag:wool"] < weights_of(weigh(liked))["u", "tag:wool"]
    (row,) = weigh(INTERACTIONS.empty(), texts=bad).to_pylist()
    assert row["weight"] == -1.0
    assert row["item_ids"] == ["hat"]


def test_an_interest_whose_items_are_all_on_the_other_side_names_none() -> None:
    texts = make_text_interests([("u", None, "tag:steel", 1, 1)])
    (row,) = weigh(make_interactions([("u", "pan", -0.1, 1)]), texts=texts).to_pylist()
    assert (row["weight"], row["num_items"], row["item_ids"]) == (1.0, 1, [])


def test_the_same_search_again_and_again_does_not_drown_the_rest() -> None:
    texts = make_text_interests([("u", None, "tag:steel", 1, 1)] * 200)
    found = weights_of(weigh(make_interactions([("u", "hat", 2, 1), ("u", "sock", 2, 1)]), texts=texts))
    assert found["u", "tag:steel"] == 1.0
    assert found["u", "tag:wool"] > 0.2


def test_texts_fade_like_everything_else() -> None:
    texts = make_text_interests([("u", None, "tag:steel", 1, 40), ("u", None, "tag:red", 1, 10)])
    assert weights_of(weigh(INTERACTIONS.empty(), texts=texts))["u", "tag:steel"] == pytest.approx(1 / 8)


def test_texts_of_no_weight_say_nothing() -> None:
    interactions = make_interactions([("u", "hat", 2, 10), ("v", "sock", -3, 20), ("v", "pan", 1, 300)])
    texts = make_text_interests([("u", None, "tag:steel", 1, 3), ("v", "pan", "tag:red", -1, 9), ("w", None, "tag:red", 1, 2)])
    silent = InterestConfig(half_life_days=10, text_weight=0.0)
    assert weigh(interactions, texts=texts, config=silent).equals(weigh(interactions, config=silent))


def test_recent_weights_follow_a_shift_that_the_long_term_ones_outlast() -> None:
    old = [("u", "hat", 4.0, float(age)) for age in range(20, 60, 5)] + [("u", "sock", 4.0, 25.0)]
    found = weigh(make_interactions([*old, ("u", "pan", 4, 1)]), config=InterestConfig())
    long_term, recent = weights_of(found), recent_of(found)
    assert max(long_term, key=long_term.__getitem__) == ("u", "tag:wool")
    assert max(recent, key=recent.__getitem__) == ("u", "tag:steel")
    assert recent["u", "tag:steel"] == 1.0
    assert 0.0 < recent["u", "tag:wool"] < long_term["u", "tag:wool"]


def test_what_has_faded_beside_the_newest_is_not_recent() -> None:
    found = weigh(make_interactions([("u", "hat", 4, 100), ("u", "pan", 1, 1)]), config=InterestConfig())
    assert recent_of(found) == {("u", "tag:steel"): 1.0, ("u", "tag:wool"): 0.0}
    assert weights_of(found)["u", "tag:wool"] > 0


def test_of_too_many_interests_the_strongest_of_both_horizons_stay() -> None:
    item_interests = make_item_interests([(name, name, 1.0) for name in ("old", "middling", "new")])
    interactions = make_interactions([*(("u", "old", 9, age) for age in (30, 31)), ("u", "middling", 2, 30), ("u", "new", 0.2, 1)])
    found = weigh(interactions, item_interests=item_interests, config=InterestConfig(max_per_user=2))
    assert found.column("interest_id").to_pylist() == ["new", "old"]


def test_the_future_is_refused() -> None:
    with pytest.raises(LeakageError, match="interactions: 1 row"):
        weigh(make_interactions([("u", "hat", 1, 1), ("u", "sock", 1, 0)]))
    with pytest.raises(LeakageError, match="text_interests: 1 row"):
        weigh(INTERACTIONS.empty(), texts=make_text_interests([("u", None, "tag:red", 1, 0)]))


behaviours = st.lists(
    st.tuples(
        st.sampled_from(["u", "v", "甲"]),
        st.sampled_from(["hat", "sock", "pan", "unknown"]),
        st.sampled_from([-4.0, -1.0, -0.5, 0.0, 0.5, 1.0, 4.0]),
        st.integers(1, 400),
    ),
    max_size=25,
)


writings = st.lists(
    st.tuples(
        st.sampled_from(["u", "w", "甲"]),
        st.sampled_from([None, "hat", "pan", "unmet"]),
        st.sampled_from(["tag:wool", "tag:steel", "tag:茶"]),
        st.sampled_from([-1.0, -0.25, 0.25, 1.0]),
        st.integers(1, 200),
    ),
    max_size=12,
)


@settings(max_examples=100, deadline=None)
@given(behaviours, writings, st.integers(0, 100))
def test_any_behaviour_is_bounded_ordered_and_without_order(
    rows: list[tuple[str, str, float, int]], written: list[tuple[str, str | None, str, float, int]], seed: int
) -> None:
    interactions, texts = make_interactions(rows), make_text_interests(written)
    found = weigh(interactions, texts=texts)
    again = weigh(shuffled(interactions, seed=seed), item_interests=shuffled(ITEMS, seed=seed), texts=shuffled(texts, seed=seed))
    assert again.equals(found)
    strongest: dict[str, float] = {}
    for row in found.to_pylist():
        assert -1.0 <= row["weight"] <= 1.0
        assert row["weight"] != 0.0
        assert -1.0 <= row["recent_weight"] <= 1.0
        assert len(row["item_ids"]) == len(row["item_weights"]) <= row["num_items"]
        assert row["item_ids"] or row["num_texts"]
        assert row["num_items"] + row["num_texts"] > 0
        assert all(np.sign(share) == np.sign(row["weight"]) for share in row["item_weights"])
        assert row["first_seen_at"] <= row["last_seen_at"] < AS_OF
        strongest[row["user_id"]] = max(strongest.get(row["user_id"], 0.0), abs(row["weight"]))
    assert all(magnitude == 1.0 for magnitude in strongest.values())
    keys = list(zip(found.column("user_id").to_pylist(), found.column("interest_id").to_pylist(), strict=True))
    assert keys == sorted(keys)


def test_blocks_of_users_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    rows = [
        (f"u{rng.integers(30):02d}", rng.choice(["hat", "sock", "pan"]), rng.choice([-1.0, 1.0, 4.0]), int(age)) for age in range(1, 200)
    ]
    texts = make_text_interests(
        [(f"u{rng.integers(40):02d}", rng.choice(["hat", None]), "tag:red", rng.choice([-1.0, 1.0]), float(age)) for age in range(1, 90)]
    )
    whole = weigh(make_interactions(rows), texts=texts)
    assert whole.num_rows > 60
    monkeypatch.setattr(profiles, "BLOCK_CONTRIBUTIONS", 7)
    assert weigh(make_interactions(rows), texts=texts).equals(whole)
