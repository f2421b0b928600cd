"""What every recommender must hold, one class to inherit per model.

A subclass sets `build` (a fresh, unfitted model) and, where it does not hold, `is_personal`
(it tells two tastes apart), `folds_in_exactly` (users have no parameters of their own) and
`ignores_user_order` (it is fitted in closed form).
"""

from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from ml.errors import UnknownIdError
from ml.models.inputs import ModelInputs
from ml.models.recommender import Recommender, recommend
from tests.ml.models.worlds import awkward_world, make_inputs, relabelled, two_tastes


def everyone(inputs: ModelInputs) -> np.ndarray:
    return np.arange(len(inputs.users))


def rank(model: Recommender, inputs: ModelInputs, *, k: int, user_index: np.ndarray | None = None) -> np.ndarray:
    user_index = everyone(inputs) if user_index is None else user_index
    return recommend(model, user_index=user_index, met_UI=inputs.seen_UI, k=k, block_size=5)[0]


class RecommenderContract:
    is_personal: ClassVar[bool] = True
    folds_in_exactly: ClassVar[bool] = True
    ignores_user_order: ClassVar[bool] = True

    def build(self) -> Recommender:
        raise NotImplementedError

    def fitted(self, inputs: ModelInputs, *, seed: int = 3) -> Recommender:
        model = self.build()
        assert model.fit(inputs, rng=np.random.default_rng(seed)) is model
        return model

    @pytest.fixture(scope="class")
    def world(self) -> ModelInputs:
        return awkward_world()

    @pytest.fixture(scope="class")
    def model(self, world: ModelInputs) -> Recommender:
        return self.fitted(world)

    def test_scores_are_finite_floats_of_every_item(self, model: Recommender, world: ModelInputs) -> None:
        scores_UI = model.score(everyone(world))
        assert scores_UI.shape == (len(world.users), len(world.items))
        assert scores_UI.dtype == np.float32
        assert np.isfinite(scores_UI).all()

    def test_scoring_twice_gives_the_same_and_the_caller_may_write_into_it(self, model: Recommender, world: ModelInputs) -> None:
        first = model.score(everyone(world))
        kept = first.copy()
        first[:] = np.nan
        np.testing.assert_array_equal(model.score(everyone(world)), kept)

    def test_seen_items_are_never_ranked(self, model: Recommender, world: ModelInputs) -> None:
        items_UK = rank(model, world, k=4)
        assert (items_UK >= 0).any()
        for user, items_K in enumerate(items_UK):
            seen = np.flatnonzero(world.seen_UI.toarray()[user])
            assert not set(items_K.tolist()) & set(seen.tolist())

    def test_a_list_longer_than_the_catalogue_holds_every_unseen_item_once(self, model: Recommender, world: ModelInputs) -> None:
        items_UK = rank(model, world, k=len(world.items) + 10)
        assert items_UK.shape == (len(world.users), len(world.items) + 10)
        for user, items_K in enumerate(items_UK):
            unseen = np.flatnonzero(world.seen_UI.toarray()[user] == 0)
            assert sorted(items_K[items_K >= 0].tolist()) == unseen.tolist()

    def test_who_has_met_everything_gets_an_empty_list(self, model: Recommender, world: ModelInputs) -> None:
        user = np.flatnonzero(world.seen_UI.toarray().all(axis=1))
        assert len(user) == 1
        assert (rank(model, world, k=3, user_index=user) == -1).all()

    @pytest.mark.parametrize("position", [-1, 12, 10_000])
    def test_an_unknown_user_raises(self, model: Recommender, position: int) -> None:
        with pytest.raises(UnknownIdError, match=str(position)):
            model.score(np.array([0, position]))

    def test_no_users_give_no_scores(self, model: Recommender, world: ModelInputs) -> None:
        assert model.score(np.zeros(0, dtype=np.int64)).shape == (0, len(world.items))

    def test_before_fit_every_user_is_unknown(self) -> None:
        with pytest.raises(UnknownIdError):
            self.build().score(np.array([0]))

    def test_folding_in_a_known_history_gives_the_scores_of_its_user(self, model: Recommender, world: ModelInputs) -> None:
        scores_UI = model.fold_in(world.histories)
        assert scores_UI.shape == (len(world.users), len(world.items))
        assert scores_UI.dtype == np.float32
        assert np.isfinite(scores_UI).all()
        if self.folds_in_exactly:
            np.testing.assert_allclose(scores_UI, model.score(everyone(world)), rtol=1e-5, atol=1e-6)

    def test_folding_in_needs_the_items_of_fit_and_nobody_is_answered_with_nothing(self, model: Recommender, world: ModelInputs) -> None:
        assert model.fold_in(world.histories.take(np.zeros(0, dtype=np.int64))).shape == (0, len(world.items))
        with pytest.raises(ValueError, match="vocabulary"):
            model.fold_in(make_inputs(np.ones((2, len(world.items) + 1))).histories)

    def test_a_new_user_of_a_taste_is_told_apart(self) -> None:
        inputs, withheld_U = two_tastes()
        model = self.fitted(inputs)
        scores_UI = model.fold_in(inputs.histories)
        np.testing.assert_allclose(model.fold_in(inputs.histories.take(np.array([3]))), scores_UI[[3]], rtol=1e-5, atol=1e-6)
        scores_UI[inputs.seen_UI.toarray() > 0] = -np.inf
        if self.is_personal:
            assert (scores_UI.argmax(axis=1) == withheld_U).all()

    def test_a_block_equals_its_single_users_in_any_order(self, model: Recommender, world: ModelInputs) -> None:
        order = np.random.default_rng(1).permutation(len(world.users))
        together = model.score(everyone(world))
        single = np.concatenate([model.score(np.array([user])) for user in everyone(world)])
        np.testing.assert_allclose(single, together, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(model.score(order), together[order], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(model.score(np.array([2, 2])), together[[2, 2]], rtol=1e-5, atol=1e-6)

    def test_save_and_load_give_the_same_bits(self, model: Recommender, world: ModelInputs, tmp_path: Path) -> None:
        model.save(tmp_path / "model")
        again = type(model).load(tmp_path / "model")
        assert again.score(everyone(world)).tobytes() == model.score(everyone(world)).tobytes()
        with pytest.raises(UnknownIdError):
            again.score(np.array([len(world.users)]))

    def test_saving_writes_the_same_bytes_and_no_pickle(self, model: Recommender, tmp_path: Path) -> None:
        model.save(tmp_path / "first")
        type(model).load(tmp_path / "first").save(tmp_path / "second")
        names = sorted(path.relative_to(tmp_path / "first") for path in (tmp_path / "first").rglob("*") if path.is_file())
        assert names
        assert {name.suffix for name in names} <= {".safetensors", ".json", ".parquet"}
        for name in names:
            assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()

    def test_the_same_inputs_and_rng_give_the_same_bits(self, model: Recommender, world: ModelInputs) -> None:
        np.random.seed(99)
        again = self.fitted(awkward_world())
        assert again.score(everyone(world)).tobytes() == model.score(everyone(world)).tobytes()

    def test_fitting_leaves_the_inputs_as_they_were(self, world: ModelInputs) -> None:
        self.fitted(world)
        untouched = awkward_world()
        for left, right in ((world.positives_UI, untouched.positives_UI), (world.seen_UI, untouched.seen_UI)):
            np.testing.assert_array_equal(left.toarray(), right.toarray())
        np.testing.assert_array_equal(world.text_ID, untouched.text_ID)

    def test_relabelling_users_relabels_scores(self, model: Recommender, world: ModelInputs) -> None:
        if not self.ignores_user_order:
            pytest.skip("fitted by sampling: another order of users is another sample")
        order = np.random.default_rng(2).permutation(len(world.users))
        moved = self.fitted(relabelled(world, order))
        np.testing.assert_allclose(moved.score(everyone(world)), model.score(order), rtol=1e-5, atol=1e-6)

    def test_two_tastes_are_told_apart(self) -> None:
        inputs, withheld_U = two_tastes()
        best_U = rank(self.fitted(inputs), inputs, k=1)[:, 0]
        hit_rate = float((best_U == withheld_U).mean())
        if self.is_personal:
            assert hit_rate == 1.0
        else:
            assert hit_rate <= 1 / 8

    @pytest.mark.parametrize(
        "liked_UI",
        [
            np.array([[1.0]]),
            np.array([[0.0]]),
            np.zeros((3, 4)),
            np.array([[1.0, 0.0, 2.0]]),
            np.array([[1.0], [1.0], [0.0]]),
            np.zeros((3, 0)),
            np.zeros((0, 4)),
        ],
        ids=["one like", "one user, one item, no like", "no likes", "one user", "one item", "no item", "no user"],
    )
    def test_the_smallest_worlds_work(self, liked_UI: np.ndarray) -> None:
        inputs = make_inputs(liked_UI, disliked_UI=(liked_UI == 0) * 1.0)
        scores_UI = self.fitted(inputs).score(everyone(inputs))
        assert scores_UI.shape == liked_UI.shape
        assert np.isfinite(scores_UI).all()
