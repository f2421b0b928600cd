"""top_n against a naive sort, and its edges."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from ml.top_n import top_n


def naive(scores_UI: np.ndarray, excluded_UI: np.ndarray, *, k: int) -> tuple[list[list[int]], list[list[float]]]:
    items, values = [], []
    for scores, excluded in zip(scores_UI, excluded_UI, strict=True):
        left = [item for item in range(len(scores)) if not excluded[item]]
        best = sorted(left, key=lambda item: (-scores[item], item))[:k]
        items.append(best + [-1] * (k - len(best)))
        values.append([float(scores[item]) for item in best] + [-np.inf] * (k - len(best)))
    return items, values


@st.composite
def problems(draw):
    # Above some 16 items for each of the list, whole groups of items are looked at first.
    num_users, num_items = draw(st.integers(0, 7)), draw(st.integers(0, 12) | st.integers(13, 400))
    seed, levels = draw(st.integers(0, 10_000)), draw(st.sampled_from([1, 2, 5, 1000]))
    rng = np.random.default_rng(seed)
    # Few levels: many ties, also at the cut.
    scores = rng.integers(-levels, levels, size=(num_users, num_items)).astype(np.float32) / 4
    excluded = rng.random((num_users, num_items)) < draw(st.sampled_from([0.0, 0.3, 1.0]))
    users = rng.permutation(num_users)[: draw(st.integers(0, num_users))]
    return scores, excluded, users, draw(st.integers(1, 15)), draw(st.integers(1, 4))


@settings(deadline=None, max_examples=300)
@given(problems())
def test_equals_a_naive_sort(problem) -> None:
    scores, excluded, users, k, block_size = problem
    items_UK, scores_UK = top_n(lambda rows: scores[rows], user_index=users, excluded_UI=sp.csr_array(excluded), k=k, block_size=block_size)
    expected_items, expected_scores = naive(scores[users], excluded[users], k=k)
    assert items_UK.tolist() == expected_items
    assert scores_UK.tolist() == expected_scores


def test_ties_at_the_cut_go_to_the_lower_position_in_a_large_catalogue() -> None:
    scores = np.zeros((3, 5000), dtype=np.float32)
    scores[1, 4000] = 1.0
    items_UK, _ = top_n(lambda rows: scores[rows], user_index=np.arange(3), excluded_UI=sp.csr_array((3, 5000)), k=3, block_size=2)
    assert items_UK.tolist() == [[0, 1, 2], [4000, 0, 1], [0, 1, 2]]


def test_the_block_size_changes_nothing_and_progress_ends_at_all() -> None:
    rng = np.random.default_rng(1)
    scores = rng.normal(size=(50, 40)).astype(np.float32)
    excluded = sp.csr_array(rng.random((50, 40)) < 0.2)
    results = []
    for block_size in (1, 7, 1000):
        calls: list[tuple[int, int]] = []
        results.append(
            top_n(
                lambda rows: scores[rows],
                user_index=np.arange(50),
                excluded_UI=excluded,
                k=9,
                block_size=block_size,
                progress=lambda done, total, calls=calls: calls.append((done, total)),
            )
        )
        assert calls[-1] == (50, 50)
    for items_UK, scores_UK in results[1:]:
        assert_array_equal(items_UK, results[0][0])
        assert_array_equal(scores_UK, results[0][1])


def test_scores_of_the_model_stay_as_they_are() -> None:
    scores = np.array([[1.0, 2.0]], dtype=np.float32)
    top_n(lambda rows: scores, user_index=np.array([0]), excluded_UI=sp.csr_array([[0, 1]]), k=1, block_size=1)
    assert scores.tolist() == [[1.0, 2.0]]


def test_a_stored_zero_excludes_nothing() -> None:
    excluded = sp.csr_array((np.zeros(1), (np.zeros(1, dtype=int), np.ones(1, dtype=int))), shape=(1, 2))
    items_UK, _ = top_n(lambda rows: np.array([[1.0, 2.0]]), user_index=np.array([0]), excluded_UI=excluded, k=1, block_size=1)
    assert items_UK.tolist() == [[1]]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_scores_that_are_not_finite_are_refused(bad) -> None:
    with pytest.raises(ValueError, match=r"1 value\(s\) that are not finite"):
        top_n(lambda rows: np.array([[0.0, bad]]), user_index=np.array([0]), excluded_UI=sp.csr_array((1, 2)), k=1, block_size=1)


def test_scores_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match=r"shape \(1, 3\), expected \(1, 2\)"):
        top_n(lambda rows: np.zeros((1, 3)), user_index=np.array([0]), excluded_UI=sp.csr_array((1, 2)), k=1, block_size=1)


@pytest.mark.parametrize(("k", "block_size"), [(0, 1), (1, 0)])
def test_nothing_asked_is_a_mistake(k, block_size) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        top_n(lambda rows: np.zeros((1, 2)), user_index=np.array([0]), excluded_UI=sp.csr_array((1, 2)), k=k, block_size=block_size)


@settings(deadline=None, max_examples=100)
@given(problems(), st.integers(0, 1000))
def test_items_not_allowed_are_as_excluded_for_everybody(problem, seed) -> None:
    scores, excluded, users, k, block_size = problem
    allowed = np.random.default_rng(seed).random(scores.shape[1]) < 0.5
    items_UK, scores_UK = top_n(
        lambda rows: scores[rows], user_index=users, excluded_UI=sp.csr_array(excluded), k=k, block_size=block_size, allowed_I=allowed
    )
    expected_items, expected_scores = naive(scores[users], (excluded | ~allowed)[users], k=k)
    assert items_UK.tolist() == expected_items
    assert scores_UK.tolist() == expected_scores


@pytest.mark.parametrize("mask", [np.array([True]), np.array([0, 1])])
def test_positions_or_half_a_mask_of_allowed_items_are_refused(mask) -> None:
    with pytest.raises(ValueError, match="allowed_I has shape"):
        top_n(lambda rows: np.zeros((1, 2)), user_index=np.array([0]), excluded_UI=sp.csr_array((1, 2)), k=1, block_size=1, allowed_I=mask)


def test_scores_may_be_read_only_and_of_double_precision() -> None:
    scores = np.broadcast_to(np.linspace(0.0, 1.0, 300), (2, 300))
    items_UK, _ = top_n(lambda rows: scores[rows * 0], user_index=np.arange(2), excluded_UI=sp.csr_array((2, 300)), k=2, block_size=2)
    assert items_UK.tolist() == [[299, 298]] * 2


def test_large_finite_scores_whose_sum_is_infinite_are_scores() -> None:
    scores = np.full((1, 4), 3e38, dtype=np.float32)
    items_UK, _ = top_n(lambda rows: scores[rows], user_index=np.array([0]), excluded_UI=sp.csr_array((1, 4)), k=2, block_size=1)
    assert items_UK.tolist() == [[0, 1]]
