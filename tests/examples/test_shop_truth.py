"""The truth beside the data: people act on it, a plain tag profile recovers it, and the helper that asks is right."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from examples.shop.population import STRONG_INTEREST
from examples.shop.truth import Truth, interest_auc

EVENT_WEIGHTS = {"view": 1.0, "cart": 2.0, "purchase": 4.0}


def truth_table(sample, name: str) -> pd.DataFrame:
    return pd.read_csv(sample.directory / "truth" / f"{name}.csv")


def quiet_actions(sample) -> pd.DataFrame:
    events = sample.events
    return events[(events["day"] < sample.shift_day) & events["kind"].isin(list(EVENT_WEIGHTS))]


def test_interests_are_sparse_shares(sample):
    interests = sample.truth.interests_UT
    np.testing.assert_allclose(interests.sum(axis=1), 1.0, atol=1e-3)
    num_strong = (interests >= STRONG_INTEREST).sum(axis=1)
    assert set(num_strong) == {2, 3, 4, 5}
    assert (interests > 0).sum(axis=1).max() <= 10
    assert len(sample.truth.user_ids) == sample.settings.num_users - len(sample.truth.spam_users)


def test_item_themes_are_shares_of_one_or_two(sample):
    themes = truth_table(sample, "item_themes").groupby("item_id")["weight"]
    np.testing.assert_allclose(themes.sum(), 1.0)
    assert set(themes.size()) == {1, 2}
    assert set(themes.size().index) == set(sample.items["sku"])


def test_tags_stand_for_the_themes_of_their_item(sample):
    themes = truth_table(sample, "item_themes").groupby("item_id")["theme"].agg(set)
    tagged = sample.items[sample.items["labels"].str.len() > 0]
    assert 0.9 < len(tagged) / len(sample.items) < 0.97
    for item in tagged.itertuples():
        named = {theme for label in item.labels for theme in sample.truth.terms.get(label.casefold(), ())}
        assert named
        assert named <= themes[item.sku]


def test_people_mostly_act_on_their_themes(sample):
    strong = {
        (sample.truth.user_ids[user], sample.truth.themes[theme])
        for user, theme in np.argwhere(sample.truth.interests_UT >= STRONG_INTEREST)
    }
    acts = quiet_actions(sample)[["user_id", "item_id"]].merge(truth_table(sample, "item_themes"), on="item_id")
    acts["is_own"] = [pair in strong for pair in zip(acts["user_id"], acts["theme"], strict=True)]
    # By chance it would be a tenth: three or four strong themes of 37.
    assert acts.groupby(["user_id", "item_id"])["is_own"].max().mean() > 0.75


def test_popularity_and_activity_have_heavy_tails(sample):
    acts = quiet_actions(sample)
    for column, top_share in (("item_id", 0.25), ("user_id", 0.2)):
        counts = acts[column].value_counts().to_numpy()
        assert counts[: len(counts) // 10].sum() / counts.sum() > top_share, column


def tag_profile(sample, day: date) -> np.ndarray:
    """The plainest profile there is: per user the summed event weights of the tags met, half as much after 30 days."""
    events = sample.events[(sample.events["day"] <= day) & sample.events["item_id"].notna()]
    weight = events["kind"].map(EVENT_WEIGHTS).fillna(2 * (events["stars"] - 3))
    age = (pd.Timestamp(day, tz="UTC") - events["at"]).dt.total_seconds() / 86_400
    labelled = events[["user_id", "item_id"]].assign(weight=weight * 0.5 ** (age / 30))
    labels = sample.items[["sku", "labels"]].explode("labels").dropna()
    profile = labelled.merge(labels, left_on="item_id", right_on="sku").groupby(["user_id", "labels"])["weight"].sum().reset_index()
    profile["weight"] /= profile.groupby("user_id")["weight"].transform(lambda weights: weights.abs().max()).replace(0, 1)
    return sample.truth.theme_scores(profile["user_id"].tolist(), profile["labels"].tolist(), profile["weight"].tolist())


def test_a_plain_tag_profile_finds_the_interests(sample):
    quiet_day = date.fromordinal(sample.shift_day.toordinal() - 1)
    active = sample.events["user_id"].unique()
    assert interest_auc(sample.truth, tag_profile(sample, quiet_day), day=quiet_day, users=active) > 0.88
    last_day = sample.settings.last_day
    assert interest_auc(sample.truth, tag_profile(sample, last_day), day=last_day, users=active) > 0.86


def test_the_wrong_people_s_interests_are_not_found(sample):
    scores = tag_profile(sample, sample.settings.last_day)
    shuffled = scores[np.random.default_rng(0).permutation(len(scores))]
    assert interest_auc(sample.truth, shuffled, day=sample.settings.last_day) < 0.6


def test_spam_accounts_do_nothing_but_praise_a_few_items_in_an_hour(sample):
    listed = truth_table(sample, "spam_users")
    assert set(listed["user_id"]) == sample.truth.spam_users
    assert not sample.truth.spam_users & set(sample.truth.user_ids)
    paid = sample.events[sample.events["user_id"].isin(sample.truth.spam_users)]
    assert (paid["kind"] == "review").all()
    assert (paid["stars"] == 5).all()
    bursts = paid.groupby("user_id")["at"]
    assert (bursts.max() - bursts.min()).max() < pd.Timedelta(hours=1)
    assert set(zip(paid["user_id"], paid["item_id"], strict=True)) == set(zip(listed["user_id"], listed["item_id"], strict=True))


def toy_truth() -> Truth:
    return Truth(
        user_ids=("a", "b"),
        themes=("tea", "yoga", "dogs"),
        interests_UT=np.array([[0.9, 0.1, 0.0], [0.0, 0.0, 1.0]]),
        shifted_UT=np.array([[0.1, 0.9, 0.0], [1.0, 0.0, 0.0]]),
        shifted_on=date(2026, 6, 24),
        shifted_users=frozenset("ab"),
        spam_users=frozenset(),
        terms={"green tea": ("tea",), "calm": ("tea", "yoga"), "puppy": ("dogs",)},
    )


def test_names_become_themes_and_ambiguous_ones_are_divided():
    scores = toy_truth().theme_scores(
        ["a", "a", "b", "b", "nobody"], ["Green Tea", "calm", "puppy", "unheard of", "puppy"], [2, 3, 1, 9, 9]
    )
    np.testing.assert_array_equal(scores, [[3.5, 1.5, 0.0], [0.0, 0.0, 1.0]])


def test_auc_is_one_half_and_zero_where_it_must_be():
    truth, quiet = toy_truth(), date(2026, 6, 1)
    assert interest_auc(truth, truth.interests_UT, day=quiet) == 1.0
    assert interest_auc(truth, np.zeros((2, 3)), day=quiet) == 0.5
    assert interest_auc(truth, -truth.interests_UT, day=quiet) == 0.0


def test_the_shift_adds_to_what_a_profile_should_hold():
    truth, after = toy_truth(), date(2026, 6, 24)
    np.testing.assert_array_equal(truth.interests(after), truth.shifted_UT)
    np.testing.assert_array_equal(truth.interests_so_far(after), [[0.9, 0.9, 0.0], [1.0, 0.0, 1.0]])
    assert interest_auc(truth, truth.interests_so_far(after), day=after) == 1.0
    assert interest_auc(truth, truth.interests_UT, day=after) < 1.0
    assert interest_auc(truth, truth.interests(after), day=after, newest=True) == 1.0
    assert interest_auc(truth, truth.interests_so_far(after), day=after, newest=True) < 1.0


def test_auc_needs_both_kinds_of_pairs():
    with pytest.raises(ValueError, match="0 strong"):
        interest_auc(toy_truth(), np.zeros((2, 3)), day=date(2026, 6, 1), users=[])
