"""The fitted growth, and tables on the sample's law."""

import numpy as np
import pytest

from benchmarks.scale import EVENTS_PER_USER, NUM_THEMES, draw_tables, growth, measure
from ml.contracts.behaviour import INTERACTIONS

SIZES = np.array([1e5, 3e5, 1e6, 3e6, 1e7])


@pytest.mark.parametrize("exponent", [0.0, 0.5, 1.0, 2.0])
def test_growth_finds_the_exponent(exponent) -> None:
    assert growth(SIZES, 7.5 * SIZES**exponent) == pytest.approx(exponent, abs=1e-9)


def test_growth_is_not_misled_by_a_constant_share_of_noise() -> None:
    noise = np.array([1.1, 0.9, 1.05, 0.95, 1.0])
    assert growth(SIZES, SIZES**1.3 * noise) == pytest.approx(1.3, abs=0.05)


@pytest.mark.parametrize(("sizes", "values"), [([1e5], [2.0]), ([1e5, 1e5], [1.0, 2.0]), ([1e5, 1e6], [0.0, 1.0])])
def test_growth_of_one_size_or_of_nothing_is_refused(sizes, values) -> None:
    with pytest.raises(ValueError, match="growth needs"):
        growth(sizes, values)


def test_drawn_events_keep_the_contract_and_the_law() -> None:
    tables = draw_tables(50_000, rng=np.random.default_rng(1))
    interactions = INTERACTIONS.conform(tables["interactions"])
    assert sum(interactions.column("num_events").to_pylist()) == 50_000
    per_user = np.unique(interactions.column("user_id").to_pylist(), return_counts=True)[1]
    per_item = np.unique(interactions.column("item_id").to_pylist(), return_counts=True)[1]
    assert len(per_user) == pytest.approx(50_000 / EVENTS_PER_USER, rel=0.02)
    for counts in (per_user, per_item):
        assert counts.max() > 4 * np.median(counts)
    assert len(set(tables["item_interests"].column("interest_id").to_pylist())) > 5 * NUM_THEMES


def test_every_stage_is_measured() -> None:
    rows = measure(3_000)
    assert [row["stage"] for row in rows] == ["graph", "training", "top-N", "epoch, estimated"]
    assert all(row["cpu s"] > 0 and row["process GiB"] > 0 for row in rows)
