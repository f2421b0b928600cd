"""The spectral filter keeps the recommender contract and computes its formula."""

from dataclasses import replace

import numpy as np
import pytest

from ml.models.spectral_filter import SpectralFilter
from tests.ml.models.recommender_contract import RecommenderContract
from tests.ml.models.worlds import awkward_world, make_inputs, two_tastes


class TestSpectralFilter(RecommenderContract):
    def build(self) -> SpectralFilter:
        return SpectralFilter()


class TestSpectralFilterAlone(RecommenderContract):
    def build(self) -> SpectralFilter:
        return SpectralFilter(num_vectors=2, neighborhood=0.0)


class TestNeighborhoodAlone(RecommenderContract):
    def build(self) -> SpectralFilter:
        return SpectralFilter(num_vectors=0)


def fitted(liked_UI: np.ndarray, **settings: float) -> SpectralFilter:
    return SpectralFilter(**settings).fit(make_inputs(liked_UI), rng=np.random.default_rng(0))


def by_formula(liked_UI: np.ndarray, *, num_vectors: int, singular_power: float, degree_power: float, neighborhood: float) -> np.ndarray:
    liked_UI = (liked_UI > 0).astype(float)
    of_user_U, of_item_I = liked_UI.sum(axis=1), liked_UI.sum(axis=0)
    normal_UI = liked_UI / np.sqrt(np.outer(np.maximum(of_user_U, 1), np.maximum(of_item_I, 1)))
    _, value_D, right_DI = np.linalg.svd(normal_UI, full_matrices=False)
    value_D, right_DI = value_D[:num_vectors], right_DI[:num_vectors]
    right_DI = right_DI[value_D > 1e-9]
    low_pass_II = (right_DI.T * value_D[value_D > 1e-9] ** singular_power) @ right_DI
    degree_I = np.maximum(of_item_I, 1) ** degree_power
    return (liked_UI / degree_I) @ low_pass_II * degree_I + neighborhood * liked_UI @ normal_UI.T @ normal_UI


@pytest.mark.parametrize(
    "settings",
    [
        {"num_vectors": 8, "singular_power": 0.5, "degree_power": 0.5, "neighborhood": 1.0},
        {"num_vectors": 3, "singular_power": 0.0, "degree_power": 0.5, "neighborhood": 0.0},
        {"num_vectors": 5, "singular_power": 2.0, "degree_power": 0.0, "neighborhood": 0.3},
        {"num_vectors": 0, "singular_power": 1.0, "degree_power": 0.3, "neighborhood": 2.0},
    ],
    ids=["default", "ideal low pass", "mixed", "neighbours alone"],
)
def test_scores_are_those_of_the_formula(settings: dict[str, float]) -> None:
    liked_UI = np.random.default_rng(4).random((30, 8)) < 0.35
    liked_UI[3] = False
    np.testing.assert_allclose(fitted(liked_UI, **settings).score(np.arange(30)), by_formula(liked_UI, **settings), rtol=1e-4, atol=1e-5)


def test_a_world_worked_out_by_hand() -> None:
    # Both users like item 0, one of them item 1: N is [[1/2, 1/sqrt(2)], [1/sqrt(2), 0]], N^T N [[3/4, 1/sqrt(8)], [1/sqrt(8), 1/2]].
    model = fitted(np.array([[1.0, 1.0], [1.0, 0.0]]), num_vectors=0)
    np.testing.assert_allclose(model.score(np.array([1])), [[0.75, 1 / np.sqrt(8)]], rtol=1e-6)


def test_relabelling_items_relabels_scores() -> None:
    liked_UI = np.random.default_rng(5).random((20, 9)) < 0.4
    order = np.random.default_rng(6).permutation(9)
    moved = fitted(liked_UI[:, order]).score(np.arange(20))
    np.testing.assert_allclose(moved, fitted(liked_UI).score(np.arange(20))[:, order], rtol=1e-4, atol=1e-5)


def test_no_more_vectors_than_the_rank() -> None:
    inputs, _ = two_tastes()
    ones_UI = np.ones((6, 4))
    assert fitted(ones_UI)._vectors_DI.shape == (1, 4)
    assert SpectralFilter().fit(inputs, rng=np.random.default_rng(0))._vectors_DI.shape[0] <= len(inputs.items)


def test_another_seed_finds_the_same_filter() -> None:
    inputs = awkward_world()
    first, second = (SpectralFilter().fit(inputs, rng=np.random.default_rng(seed)).score(np.arange(12)) for seed in (0, 1))
    np.testing.assert_allclose(first, second, rtol=1e-4, atol=1e-5)


def test_who_likes_nothing_gets_equal_scores() -> None:
    inputs = awkward_world()
    silent = np.flatnonzero(np.diff(inputs.positives_UI.indptr) == 0)
    assert len(silent)
    np.testing.assert_array_equal(SpectralFilter().fit(inputs, rng=np.random.default_rng(0)).score(silent), 0.0)


def test_settings_changed_after_the_fit_are_those_of_a_new_fit() -> None:
    liked_UI = np.random.default_rng(8).random((25, 9)) < 0.4
    model = fitted(liked_UI)
    model.num_vectors, model.singular_power, model.degree_power, model.neighborhood = 3, 0.5, 0.3, 2.0
    again = fitted(liked_UI, num_vectors=3, singular_power=0.5, degree_power=0.3, neighborhood=2.0)
    np.testing.assert_allclose(model.score(np.arange(25)), again.score(np.arange(25)), rtol=1e-4, atol=1e-5)


def test_blocks_of_any_size_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    model = fitted(np.random.default_rng(7).random((23, 11)) < 0.4)
    whole = model.score(np.arange(23))
    monkeypatch.setattr("ml.models.spectral_filter._BLOCK_SIZE", 4)
    np.testing.assert_allclose(model.score(np.arange(23)), whole, rtol=1e-5, atol=1e-6)


def test_what_is_hardly_believed_hardly_joins_items() -> None:
    liked_UI = np.array([[1, 1, 0]] * 4 + [[1, 0, 1]] * 2, dtype=float)
    inputs = make_inputs(liked_UI)
    doubted = replace(inputs, credibility_U=np.array([1, 1, 1, 1, 0.001, 0.001], dtype=np.float32))
    whole = replace(inputs, credibility_U=np.ones(6, dtype=np.float32))
    plain, same, less = (
        SpectralFilter().fit(found, rng=np.random.default_rng(0)).score(np.array([0]))[0] for found in (inputs, whole, doubted)
    )
    np.testing.assert_array_equal(plain, same)
    assert abs(less[2]) < 0.1 * abs(plain[2])


@pytest.mark.parametrize("settings", [{"num_vectors": -1}, {"singular_power": -1.0}, {"neighborhood": -0.5}])
def test_settings_without_meaning_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="at least 0"):
        SpectralFilter(**settings)
