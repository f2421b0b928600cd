"""Recent likes count more, by position or by days, and no more than is known."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.models.histories import Histories, Recency


def histories(age_UI: list[list[float]] | np.ndarray, *, are_ages_known: bool = True) -> Histories:
    """Likes where an age is above 0."""
    age_UI = sp.csr_array(np.asarray(age_UI, dtype=np.float32))
    liked_UI = sp.csr_array((np.full(age_UI.nnz, 0.3, dtype=np.float32), age_UI.indices, age_UI.indptr), shape=age_UI.shape)
    return Histories(liked_UI, age_UI if are_ages_known else None)


def test_items_ago_counts_newer_likes_and_likes_of_one_instant_share_it() -> None:
    found = histories([[30.0, 2.0, 0.0, 2.0], [0.0, 0.0, 0.0, 0.0], [1.0, 5.0, 9.0, 0.5]])
    assert found.items_ago.tolist() == [3, 1, 1, 2, 3, 4, 1]
    assert found.user_index.tolist() == [0, 0, 0, 2, 2, 2, 2]


def naive_items_ago(age_UI: np.ndarray) -> np.ndarray:
    return np.array([1 + sum(0 < other < age for other in row) for row in age_UI for age in row if age > 0], dtype=np.int64)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 6), st.integers(1, 7))
def test_items_ago_equals_a_naive_count(seed: int, num_users: int, num_items: int) -> None:
    age_UI = np.random.default_rng(seed).integers(0, 5, (num_users, num_items)).astype(float)
    np.testing.assert_array_equal(histories(age_UI).items_ago, naive_items_ago(age_UI))


def test_half_lives_in_items_and_in_days() -> None:
    found = histories([[33.0, 3.0, 0.0, 13.0], [0.0, 7.0, 0.0, 0.0]])
    np.testing.assert_allclose(found.weighted(Recency(1.0)).toarray(), [[0.25, 1, 0, 0.5], [0, 1, 0, 0]])
    # Days count from the user's newest like, so that who has been away a year is read like anyone else.
    np.testing.assert_allclose(found.weighted(Recency(10.0, "days")).toarray(), [[0.125, 1, 0, 0.5], [0, 1, 0, 0]])


@pytest.mark.parametrize("unit", ["items", "days"])
def test_without_ages_or_recency_all_likes_count_the_same(unit: str) -> None:
    ages = [[33.0, 3.0, 0.0, 13.0]]
    liked = [[1.0, 1.0, 0.0, 1.0]]
    assert histories(ages).weighted(None).toarray().tolist() == liked
    assert histories(ages, are_ages_known=False).weighted(Recency(1.0, unit)).toarray().tolist() == liked


@pytest.mark.parametrize("unit", ["items", "days"])
def test_a_like_never_fades_to_nothing(unit: str) -> None:
    found = histories([np.linspace(1.0, 1e6, 300)]).weighted(Recency(0.01, unit))
    assert found.nnz == 300
    assert (found.data > 0).all()
    assert found.dtype == np.float32


def test_weighting_leaves_the_histories_as_they_were_and_commutes_with_taking() -> None:
    found = histories(np.random.default_rng(2).integers(0, 9, (6, 5)).astype(float))
    before = found.age_UI.toarray(), found.positives_UI.toarray()
    order = np.array([4, 0, 0, 5])
    whole = found.weighted(Recency(2.0)).toarray()
    np.testing.assert_array_equal(found.take(order).weighted(Recency(2.0)).toarray(), whole[order])
    np.testing.assert_array_equal(found.age_UI.toarray(), before[0])
    np.testing.assert_array_equal(found.positives_UI.toarray(), before[1])


def test_no_users_and_no_likes() -> None:
    nobody = histories(np.zeros((0, 3)))
    assert nobody.weighted(Recency(1.0)).shape == (0, 3)
    assert histories(np.zeros((2, 3))).weighted(Recency(1.0, "days")).nnz == 0


@pytest.mark.parametrize("recency", [None, Recency(3.5), Recency(30.0, "days")])
def test_recency_survives_a_saved_model(recency: Recency | None) -> None:
    assert Recency.from_parameters(Recency.to_parameters(recency)) == recency


@pytest.mark.parametrize("half_life", [0.0, -1.0, float("nan")])
def test_a_half_life_without_meaning_is_refused(half_life: float) -> None:
    with pytest.raises(ValueError, match="above 0"):
        Recency(half_life)


def test_a_unit_without_meaning_is_refused() -> None:
    with pytest.raises(ValueError, match="items or days"):
        Recency(1.0, "weeks")
