"""The taste shift: in the last week, in category, stars and mix of events, in the people it is said to be in, and nowhere before."""

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import jensenshannon
from scipy.stats import wasserstein_distance

from examples.shop.lexicon import load_lexicon
from examples.shop.settings import SampleSettings
from examples.shop.simulate import write_sample
from examples.shop.truth import read_truth

CURRENT_DAYS, REFERENCE_DAYS = 7, 28


@pytest.fixture(scope="module")
def events(sample) -> pd.DataFrame:
    return sample.events.merge(sample.items[["sku", "category"]], how="left", left_on="item_id", right_on="sku")


def windows(events: pd.DataFrame, end: date) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The four weeks before, and the week that ends before `end`."""
    cut, start = end - timedelta(days=CURRENT_DAYS), end - timedelta(days=CURRENT_DAYS + REFERENCE_DAYS)
    return events[(events["day"] >= start) & (events["day"] < cut)], events[(events["day"] >= cut) & (events["day"] < end)]


def distance_of_shares(reference: pd.Series, current: pd.Series) -> float:
    names = sorted(set(reference.dropna()) | set(current.dropna()))
    shares = [column.value_counts(normalize=True).reindex(names, fill_value=0) for column in (reference, current)]
    return float(jensenshannon(*shares, base=2))


def distance_of_stars(reference: pd.Series, current: pd.Series) -> float:
    return float(wasserstein_distance(reference.dropna(), current.dropna()) / reference.std())


def distances(events: pd.DataFrame, end: date) -> dict[str, float]:
    reference, current = windows(events, end)
    return {
        "category": distance_of_shares(reference["category"], current["category"]),
        "kind": distance_of_shares(reference["kind"], current["kind"]),
        "stars": distance_of_stars(reference["stars"], current["stars"]),
    }


def test_the_last_week_differs_in_every_marginal(sample, events):
    found = distances(events, sample.settings.last_day + timedelta(days=1))
    assert found["category"] > 0.2
    assert found["kind"] > 0.1
    assert found["stars"] > 0.25


def test_quiet_weeks_differ_in_none(sample, events):
    for days_before in range(0, 18, 3):
        found = distances(events, sample.shift_day - timedelta(days=days_before))
        assert all(distance < 0.1 for distance in found.values()), (days_before, found)


def test_people_who_did_not_shift_did_not_change(sample, events):
    steady = events[~events["user_id"].isin(sample.truth.shifted_users)]
    found = distances(steady, sample.settings.last_day + timedelta(days=1))
    assert found["category"] < 0.12
    assert found["kind"] < 0.1
    assert found["stars"] < 0.15


def test_shifted_people_are_the_documented_share_of_those_who_came(sample):
    came = set(sample.events[sample.events["day"] >= sample.shift_day]["user_id"])
    assert sample.truth.shifted_users <= came
    assert abs(len(sample.truth.shifted_users) / len(came) - sample.settings.shifted_share) < 0.08


def test_they_move_to_season_themes_that_were_minor(sample):
    shifts = pd.read_csv(sample.directory / "truth" / "shifted_users.csv")
    assert set(shifts["shifted_on"]) == {sample.shift_day.isoformat()}
    gained = shifts[shifts["weight_after"] > shifts["weight_before"]]
    assert set(gained["theme"]) == {theme.name for theme in load_lexicon().themes if theme.is_season}
    assert (gained.groupby("user_id").size() == 2).all()
    assert gained["weight_before"].max() < 0.07
    assert gained["weight_after"].min() > 0.3


def test_shifted_people_act_on_the_new_themes_only_after_the_shift(sample):
    shifts = pd.read_csv(sample.directory / "truth" / "shifted_users.csv")
    gained = shifts[shifts["weight_after"] > shifts["weight_before"]][["user_id", "theme"]].assign(is_new=True)
    themes = pd.read_csv(sample.directory / "truth" / "item_themes.csv")
    leading = themes.sort_values("weight", ascending=False, kind="stable").drop_duplicates("item_id")
    views = sample.events[(sample.events["kind"] == "view") & sample.events["user_id"].isin(sample.truth.shifted_users)]
    acts = views.merge(leading, on="item_id").merge(gained, on=["user_id", "theme"], how="left")
    share = acts.groupby(acts["day"] >= sample.shift_day)["is_new"].agg(lambda column: column.notna().mean())
    assert share[False] < 0.1
    assert share[True] > 0.6


def test_without_shifting_users_the_truth_stays_as_it_was(tmp_path):
    settings = SampleSettings(num_users=60, num_items=80, num_days=10, shifted_share=0.0)
    write_sample(tmp_path, settings=settings)
    truth = read_truth(tmp_path)
    assert truth.shifted_users == frozenset()
    assert truth.shifted_on is None
    np.testing.assert_array_equal(truth.interests(settings.last_day), truth.interests_UT)
