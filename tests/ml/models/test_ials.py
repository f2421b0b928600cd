"""iALS keeps the recommender contract, and its vectors are the minimum its docstring speaks of."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.models.ials import IALS
from ml.models.least_squares import Ridge, solve_rows
from tests.ml.models.recommender_contract import RecommenderContract
from tests.ml.models.worlds import awkward_world, make_inputs, two_tastes

RNG = np.random.default_rng(0)


class TestIALS(RecommenderContract):
    def build(self) -> IALS:
        return IALS(embedding_size=4, regularization=0.05, unobserved_weight=0.1)


class TestIALSWithMoreDimensionsThanItems(RecommenderContract):
    def build(self) -> IALS:
        return IALS(embedding_size=32, epochs=4, regularization=0.3, unobserved_weight=0.1, frequency_power=0.5)


def random_likes(seed: int, num_users: int, num_items: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.gamma(1.0, size=(num_users, num_items)) * (rng.random((num_users, num_items)) < 0.4)


def objective(users_UD: np.ndarray, items_ID: np.ndarray, liked_UI: np.ndarray, credibility_U: np.ndarray, model: IALS) -> float:
    """The docstring's sum, dense, every user as often as they are believed."""
    liked_UI = liked_UI > 0
    predicted_UI = users_UD @ items_ID.T
    unobserved, power = model.unobserved_weight, model.frequency_power
    of_user_U = (liked_UI.sum(axis=1) + unobserved * liked_UI.shape[1]) ** power
    of_item_I = (credibility_U @ liked_UI + unobserved * credibility_U.sum()) ** power
    losses_U = (liked_UI * (1 - predicted_UI) ** 2 + unobserved * predicted_UI**2).sum(axis=1)
    ridge_U = of_user_U * (users_UD**2).sum(axis=1)
    return float(credibility_U @ (losses_U + model.regularization * ridge_U) + model.regularization * of_item_I @ (items_ID**2).sum(axis=1))


def vectors(model: IALS) -> tuple[np.ndarray, np.ndarray]:
    return model._user_vectors_UD.astype(float), model.item_vectors.astype(float)


@pytest.mark.parametrize("believed", [True, False])
def test_every_epoch_lowers_the_objective(believed: bool) -> None:
    liked_UI = random_likes(3, 30, 20)
    credibility_U = np.ones(30) if believed else np.random.default_rng(1).uniform(0.1, 1.0, 30)
    inputs = replace(make_inputs(liked_UI), credibility_U=None if believed else credibility_U.astype(np.float32))
    values = []
    for epochs in (1, 2, 3, 5, 9, 30):
        model = IALS(embedding_size=5, epochs=epochs, regularization=0.02).fit(inputs, rng=np.random.default_rng(2))
        values.append(objective(*vectors(model), liked_UI, credibility_U, model))
    assert (np.diff(values) < 0).all()


@pytest.mark.parametrize("side", ["users", "items"])
def test_no_direction_lowers_the_objective_where_it_has_converged(side: str) -> None:
    liked_UI = random_likes(4, 25, 12)
    credibility_U = np.random.default_rng(1).uniform(0.2, 1.0, 25)
    inputs = replace(make_inputs(liked_UI), credibility_U=credibility_U.astype(np.float32))
    model = IALS(embedding_size=3, epochs=300, regularization=0.05, unobserved_weight=0.3, frequency_power=0.7).fit(inputs, rng=RNG)
    users_UD, items_ID = vectors(model)
    best = objective(users_UD, items_ID, liked_UI, credibility_U, model)
    rng = np.random.default_rng(5)
    for _ in range(20):
        moved = [users_UD.copy(), items_ID.copy()]
        row = rng.integers(len(moved[side == "items"]))
        moved[side == "items"][row] += rng.normal(scale=0.01, size=3)
        assert objective(*moved, liked_UI, credibility_U, model) > best - 1e-6


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 9), st.integers(1, 7), st.integers(1, 4))
def test_rows_are_solved_as_each_would_be_alone(seed: int, num_rows: int, num_targets: int, size: int) -> None:
    rng = np.random.default_rng(seed)
    weight_NT, vectors_TD = random_likes(seed, num_rows, num_targets), rng.normal(size=(num_targets, size))
    weight_T = rng.uniform(0.2, 1.0, num_targets).astype(np.float32)
    ridge = Ridge(0.2, 0.1, 0.5)
    found_ND = solve_rows(sp.csr_array(weight_NT), vectors_TD, ridge=ridge, weight_T=weight_T)
    weight_T = weight_T.astype(np.float64)
    for row_T, found_D in zip(weight_NT, found_ND, strict=True):
        penalty = 0.1 * (row_T.sum() + 0.2 * weight_T.sum()) ** 0.5
        system_DD = (vectors_TD.T * (row_T + 0.2 * weight_T)) @ vectors_TD + penalty * np.eye(size)
        np.testing.assert_allclose(found_D, np.linalg.solve(system_DD, vectors_TD.T @ row_T), rtol=1e-6, atol=1e-9)


def test_blocks_of_any_size_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = make_inputs(random_likes(5, 30, 11))
    whole = IALS(embedding_size=4, epochs=2).fit(inputs, rng=np.random.default_rng(0)).score(np.arange(30))
    for cells in (1, 200):
        monkeypatch.setattr("ml.models.least_squares._BLOCK_CELLS", cells)
        found = IALS(embedding_size=4, epochs=2).fit(inputs, rng=np.random.default_rng(0)).score(np.arange(30))
        np.testing.assert_allclose(found, whole, rtol=1e-4, atol=1e-5)


def test_twenty_likes_can_be_learned_by_heart() -> None:
    """10 users with 2 likes each, no pattern: their own likes rank first (nothing excluded)."""
    rng = np.random.default_rng(5)
    liked_UI = np.zeros((10, 12))
    for user in range(10):
        liked_UI[user, rng.choice(12, 2, replace=False)] = 1.0
    scores_UI = IALS(embedding_size=12, regularization=1e-4).fit(make_inputs(liked_UI), rng=RNG).score(np.arange(10))
    best_U2 = np.argsort(-scores_UI, axis=1)[:, :2]
    assert (np.take_along_axis(liked_UI, best_U2, axis=1) == 1.0).all()


def test_tastes_need_more_than_one_epoch_and_no_luck() -> None:
    inputs, withheld_U = two_tastes()
    for seed in range(5):
        scores_UI = IALS(embedding_size=8).fit(inputs, rng=np.random.default_rng(seed)).score(np.arange(48))
        scores_UI[inputs.seen_UI.toarray() > 0] = -np.inf
        assert (scores_UI.argmax(axis=1) == withheld_U).all()


def test_items_nobody_likes_and_users_without_a_like_score_0() -> None:
    inputs = awkward_world()
    liked = inputs.positives_UI.toarray() > 0
    scores_UI = IALS().fit(inputs, rng=RNG).score(np.arange(12))
    assert not scores_UI[:, ~liked.any(axis=0)].any()
    assert not scores_UI[~liked.any(axis=1)].any()
    assert scores_UI[liked].min() > 0


def test_what_is_hardly_believed_hardly_joins_items() -> None:
    liked_UI = np.array([[1, 1, 0]] * 4 + [[1, 0, 1]] * 2, dtype=float)
    inputs = make_inputs(liked_UI)
    doubted = replace(inputs, credibility_U=np.array([1, 1, 1, 1, 0.001, 0.001], dtype=np.float32))
    whole = replace(inputs, credibility_U=np.ones(6, dtype=np.float32))
    plain, same, less = (
        IALS(embedding_size=1, unobserved_weight=0.1).fit(found, rng=np.random.default_rng(0)).score(np.array([0]))[0]
        for found in (inputs, whole, doubted)
    )
    np.testing.assert_array_equal(plain, same)
    assert abs(less[2]) < 0.1 * abs(plain[2])


@pytest.mark.parametrize(
    "arguments", [{"embedding_size": 0}, {"epochs": 0}, {"frequency_power": -1.0}, {"regularization": 0.0}, {"unobserved_weight": 0.0}]
)
def test_settings_without_meaning_are_refused(arguments: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must be"):
        IALS(**arguments)
