"""The baselines keep the recommender contract and compute what their papers say."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.errors import ReleaseError
from ml.models.ease import EASE
from ml.models.item_knn import ItemKNN
from ml.models.popularity import Popularity
from ml.models.text_only import TextOnly
from tests.ml.models.recommender_contract import RecommenderContract
from tests.ml.models.worlds import awkward_world, make_inputs

RNG = np.random.default_rng(0)


class TestPopularity(RecommenderContract):
    is_personal = False

    def build(self) -> Popularity:
        return Popularity()


class TestItemKNN(RecommenderContract):
    def build(self) -> ItemKNN:
        return ItemKNN()


class TestEASE(RecommenderContract):
    def build(self) -> EASE:
        return EASE(regularization=1.0)


class TestTextOnly(RecommenderContract):
    def build(self) -> TextOnly:
        return TextOnly()


def random_likes(seed: int, num_users: int, num_items: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.gamma(1.0, size=(num_users, num_items)) * (rng.random((num_users, num_items)) < 0.4)


worlds = st.builds(random_likes, st.integers(0, 10_000), st.integers(1, 9), st.integers(1, 8))


def test_popularity_is_the_sum_of_decayed_likes() -> None:
    model = Popularity().fit(make_inputs(np.array([[1.0, 0.5, 0.0], [1.0, 0.0, 0.0], [0.25, 0.5, 0.0]])), rng=RNG)
    np.testing.assert_array_equal(model.item_scores, np.array([2.25, 1.0, 0.0], dtype=np.float32))
    np.testing.assert_array_equal(model.score(np.array([2, 0])), [[2.25, 1.0, 0.0]] * 2)


def test_item_knn_on_a_world_worked_out_by_hand() -> None:
    # Likes: item 0 by users 0, 1, 2; item 1 by users 0, 1; item 2 by user 2; item 3 by user 3.
    liked_UI = np.array([[5.0, 1.0, 0, 0], [1.0, 1.0, 0, 0], [1.0, 0, 1.0, 0], [0, 0, 0, 1.0]])
    model = ItemKNN(num_neighbors=2, shrinkage=1.0).fit(make_inputs(liked_UI), rng=RNG)
    near_01 = 2 / (np.sqrt(3 * 2) + 1)
    near_02 = 1 / (np.sqrt(3 * 1) + 1)
    expected = [[near_01, near_01, near_02, 0.0], [near_01, near_01, near_02, 0.0], [near_02, near_01, near_02, 0.0], [0.0] * 4]
    expected[2][1] = near_01
    np.testing.assert_allclose(model.score(np.arange(4)), expected, rtol=1e-6)


def test_item_knn_keeps_the_nearest_only_and_breaks_ties_by_position() -> None:
    # Items 1, 2 and 3 are equally near to item 0: each shares its one user with it.
    liked_UI = np.array([[1.0, 1.0, 0, 0], [1.0, 0, 1.0, 0], [1.0, 0, 0, 1.0]])
    model = ItemKNN(num_neighbors=1, shrinkage=0.0).fit(make_inputs(liked_UI), rng=RNG)
    near = 1 / np.sqrt(3)
    # User 0 likes 0 (nearest: 1) and 1 (nearest: 0); items 2 and 3 are nobody's nearest but their own users'.
    np.testing.assert_allclose(model.score(np.array([0])), [[near, near, 0.0, 0.0]], rtol=1e-6)


def naive_item_knn(liked_UI: np.ndarray, *, num_neighbors: int, shrinkage: float) -> np.ndarray:
    liked_UI = liked_UI > 0
    num_items = liked_UI.shape[1]
    scores_UI = np.zeros(liked_UI.shape)
    for item in range(num_items):
        similarities = []
        for other in range(num_items):
            scale = np.sqrt(liked_UI[:, item].sum() * liked_UI[:, other].sum()) + shrinkage
            shared = (liked_UI[:, item] & liked_UI[:, other]).sum()
            if other != item and shared:
                similarities.append((-np.float32(shared / scale), other))
        for similarity, other in sorted(similarities)[:num_neighbors]:
            scores_UI[liked_UI[:, item], other] -= similarity
    return scores_UI


@settings(max_examples=60, deadline=None)
@given(worlds, st.integers(1, 9))
def test_item_knn_equals_a_naive_one(liked_UI: np.ndarray, num_neighbors: int) -> None:
    model = ItemKNN(num_neighbors=num_neighbors, shrinkage=1.0).fit(make_inputs(liked_UI), rng=RNG)
    expected = naive_item_knn(liked_UI, num_neighbors=num_neighbors, shrinkage=1.0)
    np.testing.assert_allclose(model.score(np.arange(len(liked_UI))), expected, rtol=1e-4, atol=1e-5)


@settings(max_examples=40, deadline=None)
@given(worlds, st.sampled_from([0.1, 1.0, 50.0]))
def test_ease_is_the_minimum_of_its_loss(liked_UI: np.ndarray, regularization: float) -> None:
    """Column j solves ridge regression of item j on all other items: the definition, not the closed form."""
    model = EASE(regularization=regularization).fit(make_inputs(liked_UI), rng=RNG)
    liked_UI = (liked_UI > 0).astype(float)
    num_items = liked_UI.shape[1]
    weights_II = np.zeros((num_items, num_items))
    for item in range(num_items):
        others = np.delete(np.arange(num_items), item)
        gram = liked_UI[:, others].T @ liked_UI[:, others] + regularization * np.eye(len(others))
        weights_II[others, item] = np.linalg.solve(gram, liked_UI[:, others].T @ liked_UI[:, item])
    np.testing.assert_allclose(model.score(np.arange(len(liked_UI))), liked_UI @ weights_II, rtol=1e-4, atol=1e-5)


def test_ease_mirrors_blocks_of_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = make_inputs(random_likes(5, 40, 11))
    whole = EASE(regularization=2.0).fit(inputs, rng=RNG).score(np.arange(40))
    for size in (1, 2, 4, 11):
        monkeypatch.setattr("ml.models.ease._BLOCK_SIZE", size)
        np.testing.assert_array_equal(EASE(regularization=2.0).fit(inputs, rng=RNG).score(np.arange(40)), whole)


def test_ease_beyond_its_memory_covers_the_most_liked_items_and_says_so(tmp_path: Path) -> None:
    liked_UI = np.array([[1.0, 1, 0, 0, 0], [1.0, 1, 1, 0, 0], [0, 1, 1, 0, 0], [1.0, 0, 0, 1, 0]])
    model = EASE(regularization=1.0, max_items=3).fit(make_inputs(liked_UI), rng=RNG)
    assert model.num_items_left_out == 1, "item 3 is liked by one user only; item 4 by nobody and so is not left out"
    alone = EASE(regularization=1.0).fit(make_inputs(liked_UI[:, :3]), rng=RNG)
    scores_UI = model.score(np.arange(4))
    np.testing.assert_array_equal(scores_UI[:, :3], alone.score(np.arange(4)))
    np.testing.assert_array_equal(scores_UI[:, 3:], 0.0)
    model.save(tmp_path)
    assert EASE.load(tmp_path).num_items_left_out == 1
    assert EASE(regularization=1.0, max_items=4).fit(make_inputs(liked_UI), rng=RNG).num_items_left_out == 0


def test_text_only_is_the_cosine_with_the_weighted_mean() -> None:
    text_ID = np.array([[3.0, 0.0], [0.0, 2.0], [-1.0, 0.0], [0.0, 0.0]])
    model = TextOnly().fit(make_inputs(np.array([[3.0, 4.0, 0, 0], [0, 0, 0, 1.0]]), text_ID=text_ID), rng=RNG)
    # Unit texts e0, e1, -e0; 3 e0 + 4 e1 has length 5. The second user liked a text-less item only.
    np.testing.assert_allclose(model.score(np.array([0, 1])), [[0.6, 0.8, -0.6, 0.0], [0.0, 0.0, 0.0, 0.0]], atol=1e-7)


def test_text_only_reads_likes_faded_almost_to_nothing() -> None:
    text_ID = np.eye(2)
    liked_UI = np.array([[np.finfo(np.float32).tiny, 0.0]])
    np.testing.assert_allclose(TextOnly().fit(make_inputs(liked_UI, text_ID=text_ID), rng=RNG).score(np.array([0])), [[1.0, 0.0]])


@pytest.mark.parametrize("model", [ItemKNN(), EASE(), TextOnly()], ids=lambda model: model.name)
def test_who_likes_nothing_gets_equal_scores(model: ItemKNN | EASE | TextOnly) -> None:
    inputs = awkward_world()
    silent = np.flatnonzero(np.diff(inputs.positives_UI.indptr) == 0)
    assert len(silent)
    np.testing.assert_array_equal(model.fit(inputs, rng=RNG).score(silent), 0.0)


def test_a_model_is_loaded_by_its_own_class_only(tmp_path: Path) -> None:
    Popularity().fit(awkward_world(), rng=RNG).save(tmp_path)
    with pytest.raises(ReleaseError, match="holds the model popularity, not ease"):
        EASE.load(tmp_path)
    with pytest.raises(ReleaseError, match="holds no saved model"):
        Popularity.load(tmp_path / "nowhere")


@pytest.mark.parametrize("arguments", [{"num_neighbors": 0}, {"shrinkage": -1.0}])
def test_item_knn_refuses_settings_without_meaning(arguments: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="at least"):
        ItemKNN(**arguments)


@pytest.mark.parametrize("arguments", [{"regularization": 0.0}, {"max_items": 0}])
def test_ease_refuses_settings_without_meaning(arguments: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must be"):
        EASE(**arguments)
