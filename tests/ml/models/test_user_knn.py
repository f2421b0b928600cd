"""User-based neighbours keep the recommender contract and compute what the module says."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.models.user_knn import UserKNN
from tests.ml.models.recommender_contract import RecommenderContract
from tests.ml.models.worlds import awkward_world, make_inputs

RNG = np.random.default_rng(0)


class TestUserKNN(RecommenderContract):
    def build(self) -> UserKNN:
        return UserKNN(shrinkage=2.0)


class TestUserKNNOfFadedLikes(RecommenderContract):
    def build(self) -> UserKNN:
        return UserKNN(weighted=True, shrinkage=0.0)


def random_likes(seed: int, num_users: int, num_items: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.gamma(1.0, size=(num_users, num_items)) * (rng.random((num_users, num_items)) < 0.4)


worlds = st.builds(random_likes, st.integers(0, 10_000), st.integers(1, 9), st.integers(1, 8))


def by_formula(liked_UI: np.ndarray, credibility_U: np.ndarray, *, num_neighbors: int, shrinkage: float, weighted: bool) -> np.ndarray:
    """Python loops over users, as a reader of the docstring would write it."""
    rows_UI = liked_UI if weighted else (liked_UI > 0).astype(float)
    scores_UI = np.zeros(liked_UI.shape)
    for user, row_I in enumerate(rows_UI):
        found = []
        for other, other_I in enumerate(rows_UI):
            shared = np.count_nonzero((row_I > 0) & (other_I > 0))
            if shared:
                cosine = row_I @ other_I / np.linalg.norm(row_I) / np.linalg.norm(other_I)
                found.append((-np.float32(cosine * shared / (shared + shrinkage)), other))
        for similarity, other in sorted(found)[:num_neighbors]:
            scores_UI[user] -= similarity * credibility_U[other] * (liked_UI[other] > 0)
    return scores_UI


@settings(max_examples=60, deadline=None)
@given(worlds, st.sampled_from([0.0, 3.0]), st.booleans())
def test_scores_are_those_of_loops_over_users(liked_UI: np.ndarray, shrinkage: float, weighted: bool) -> None:
    credibility_U = np.random.default_rng(1).uniform(0.1, 1.0, len(liked_UI)).astype(np.float32)
    inputs = replace(make_inputs(liked_UI), credibility_U=credibility_U)
    found = UserKNN(num_neighbors=20, shrinkage=shrinkage, weighted=weighted).fit(inputs, rng=RNG).score(np.arange(len(liked_UI)))
    expected = by_formula(liked_UI, credibility_U, num_neighbors=20, shrinkage=shrinkage, weighted=weighted)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_a_world_worked_out_by_hand() -> None:
    # Users 0 and 1 share items 0 and 1 of their 2 and 3; users 0 and 2 share item 0 of their 2 and 2; user 3 shares nothing.
    liked_UI = np.array([[1, 1, 0, 0, 0], [1, 1, 1, 0, 0], [1, 0, 0, 1, 0], [0, 0, 0, 0, 1]], dtype=float)
    model = UserKNN(num_neighbors=3, shrinkage=1.0).fit(make_inputs(liked_UI), rng=RNG)
    own, near_1, near_2 = 2 / 3, 2 / np.sqrt(6) * 2 / 3, 1 / 2 * 1 / 2
    np.testing.assert_allclose(model.score(np.array([0])), [[own + near_1 + near_2, own + near_1, near_1, near_2, 0.0]], rtol=1e-6)
    model.num_neighbors = 2
    np.testing.assert_allclose(model.score(np.array([0])), [[own + near_1, own + near_1, near_1, 0.0, 0.0]], rtol=1e-6)


def test_what_one_shared_item_says_is_doubted() -> None:
    """User 1 shares one of two items with user 0, user 2 three of 19: by cosine the first is nearer, shrunk the second."""
    liked_UI = np.zeros((3, 21))
    liked_UI[0, :4] = 1.0
    liked_UI[1, [0, 4]] = 1.0
    liked_UI[2, [1, 2, 3, *range(5, 21)]] = 1.0
    plain, shrunk = (UserKNN(shrinkage=shrinkage).fit(make_inputs(liked_UI), rng=RNG).score(np.array([0]))[0] for shrinkage in (0.0, 10.0))
    assert plain[4] > plain[5] > 0
    assert shrunk[5] > 2 * shrunk[4] > 0


def test_faded_likes_count_less_where_they_are_weighed() -> None:
    """Reader 0 liked items 0 and 1, the latter long ago; user 1 shares the fresh one, user 2 the faded one."""
    liked_UI = np.array([[1.0, 0.01, 0, 0], [1.0, 0, 1.0, 0], [0, 1.0, 0, 1.0]])
    plain, faded = (UserKNN(weighted=weighted).fit(make_inputs(liked_UI), rng=RNG).score(np.array([0]))[0] for weighted in (False, True))
    assert plain[2] == plain[3]
    assert faded[2] > 10 * faded[3] > 0


def test_likes_faded_almost_to_nothing_still_find_neighbours() -> None:
    liked_UI = np.array([[1e-30, 0.0], [1e-30, 1e-30]])
    scores_UI = UserKNN(weighted=True, shrinkage=0.0).fit(make_inputs(liked_UI), rng=RNG).score(np.array([0]))
    assert scores_UI[0, 1] == pytest.approx(1 / np.sqrt(2), rel=1e-5)


def test_whom_nobody_believes_speaks_for_nothing() -> None:
    liked_UI = np.array([[1, 1, 0]] * 4 + [[1, 0, 1]] * 2, dtype=float)
    inputs = make_inputs(liked_UI)
    doubted = replace(inputs, credibility_U=np.array([1, 1, 1, 1, 0.001, 0.001], dtype=np.float32))
    whole = replace(inputs, credibility_U=np.ones(6, dtype=np.float32))
    plain, same, less = (UserKNN().fit(found, rng=RNG).score(np.array([0]))[0] for found in (inputs, whole, doubted))
    np.testing.assert_array_equal(plain, same)
    assert 0 < less[2] < 0.01 * plain[2]


def test_blocks_of_any_size_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = make_inputs(random_likes(5, 30, 11))
    model = UserKNN(num_neighbors=4).fit(inputs, rng=RNG)
    whole = model.score(np.arange(30))
    for cells in (1, 70):
        monkeypatch.setattr("ml.models.user_knn._BLOCK_CELLS", cells)
        np.testing.assert_array_equal(model.score(np.arange(30)), whole)


def test_who_likes_nothing_gets_equal_scores() -> None:
    inputs = awkward_world()
    silent = np.flatnonzero(np.diff(inputs.positives_UI.indptr) == 0)
    assert len(silent)
    np.testing.assert_array_equal(UserKNN().fit(inputs, rng=RNG).score(silent), 0.0)


@pytest.mark.parametrize("arguments", [{"num_neighbors": 0}, {"shrinkage": -1.0}])
def test_settings_without_meaning_are_refused(arguments: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="at least"):
        UserKNN(**arguments)
