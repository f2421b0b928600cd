"""The global time split: shares, ties, few instants, nothing on both sides."""

from datetime import timedelta

import numpy as np
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.config.pipeline import EvaluationConfig
from ml.contracts.contract import TIMESTAMP
from ml.errors import EvaluationError
from ml.evaluation.split import TimeSplit, global_time_split
from tests.ml.evaluation.interaction_rows import at, interactions

CONFIG = EvaluationConfig(test_share=0.1, validation_share=0.2)


def split_of(days: list[float], *, weights: list[float] | None = None) -> TimeSplit:
    weights = weights or [1.0] * len(days)
    rows = [(f"u{row}", "i", weight, day) for row, (day, weight) in enumerate(zip(days, weights, strict=True))]
    return global_time_split(interactions(rows), config=CONFIG)


def window_sizes(days: list[float], split: TimeSplit) -> tuple[int, int, int]:
    instants = [at(day) for day in days]
    training = sum(instant < split.validation_start for instant in instants)
    validation = sum(split.validation_start <= instant < split.test_start for instant in instants)
    test = sum(split.test_start <= instant < split.end for instant in instants)
    assert training + validation + test == len(days)
    return training, validation, test


def test_shares_are_quantiles_of_likes() -> None:
    split = split_of([float(day) for day in range(100)])
    assert split == TimeSplit(at(70), at(90), at(99) + timedelta(microseconds=1))


def test_dislikes_do_not_move_the_cuts_but_reach_the_end() -> None:
    days, weights = [float(day) for day in range(100)], [1.0] * 100
    split = split_of([*days, *[99.5] * 80], weights=[*weights, *[-1.0] * 80])
    assert (split.validation_start, split.test_start) == (at(70), at(90))
    assert split.end == at(99.5) + timedelta(microseconds=1)


def test_instants_never_straddle_and_the_nearest_cut_wins() -> None:
    # 5 likes a day on 20 days: a tenth is 10 likes, two whole days; a fifth before them is four.
    days = [float(day) for day in range(20) for _ in range(5)]
    split = split_of(days)
    assert (split.validation_start, split.test_start) == (at(14), at(18))


def test_three_days_as_in_a_catalogue_without_times() -> None:
    """Nearly everything on the first day, a like per user on each of the last two: each is a window."""
    days = [0.0] * 300 + [1.0] * 8 + [2.0] * 8
    split = split_of(days)
    assert (split.validation_start, split.test_start) == (at(1), at(2))
    assert window_sizes(days, split) == (300, 8, 8)


def test_a_huge_last_day_leaves_the_other_windows_something() -> None:
    days = [0.0, 1.0, 1.0] + [2.0] * 500
    assert window_sizes(days, split_of(days)) == (1, 2, 500)


@pytest.mark.parametrize("days", [[], [4.0], [4.0] * 50, [1.0, 1.0, 2.0]])
def test_fewer_than_three_instants_cannot_be_cut(days: list[float]) -> None:
    with pytest.raises(EvaluationError, match=f"{len(set(days))} distinct instant.*event_at"):
        split_of(days)


def test_only_instants_of_likes_count() -> None:
    with pytest.raises(EvaluationError, match="at 2 distinct"):
        split_of([1.0, 2.0, 3.0, 4.0], weights=[1.0, 1.0, -1.0, 0.0])


def test_the_order_of_rows_does_not_show() -> None:
    days = [float(day % 13) for day in range(60)]
    shuffled = np.random.default_rng(0).permutation(days).tolist()
    assert split_of(shuffled) == split_of(days)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.integers(0, 30), min_size=3, max_size=80).filter(lambda days: len(set(days)) >= 3))
def test_every_window_holds_a_like_and_no_other_cut_is_nearer(days: list[int]) -> None:
    split = split_of([float(day) for day in days])
    sizes = window_sizes([float(day) for day in days], split)
    assert min(sizes) >= 1
    wished = CONFIG.test_share * len(days)
    for cut in sorted(set(days))[2:]:
        assert abs(sizes[2] - wished) <= abs(sum(day >= cut for day in days) - wished) + 1e-9


def test_movielens_is_cut_into_the_shares_asked_for(real_data) -> None:
    import duckdb

    ratings = real_data("movielens-small-text") / "ratings.parquet"
    table = duckdb.sql(f"select to_timestamp(timestamp) as last_event_at, rating - 3.0 as weight from '{ratings}'").to_arrow_table()
    split = global_time_split(table, config=EvaluationConfig())
    likes = table.filter(pc.greater(table.column("weight"), 0.0)).column("last_event_at").cast(TIMESTAMP)
    in_test = pc.mean(pc.cast(pc.greater_equal(likes, split.test_start), "float64")).as_py()
    after_training = pc.mean(pc.cast(pc.greater_equal(likes, split.validation_start), "float64")).as_py()
    assert in_test == pytest.approx(0.1, abs=0.002)
    assert after_training == pytest.approx(0.2, abs=0.002)
