"""A model on other vocabularies: joined by id, unknown items last, unknown users silent, no leaked answers."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from ml.config.pipeline import EvaluationConfig
from ml.errors import ReleaseError, UnknownIdError
from ml.evaluation.harness import evaluate
from ml.evaluation.realigned import Realigned
from ml.ids import Vocabulary
from ml.models.inputs import ModelInputs
from ml.models.item_knn import ItemKNN
from ml.models.popularity import Popularity
from tests.ml.evaluation.scripted import Fixed, figures, truth_of
from tests.ml.models.worlds import AS_OF, awkward_world, make_inputs


class Named(Fixed):
    name = "named"


def realigned(scores_UI: list[list[float]], users: list[str], items: list[str], inputs: ModelInputs) -> Realigned:
    return Realigned(
        Named(np.array(scores_UI)),
        model_users=Vocabulary("user", users),
        model_items=Vocabulary("item", items),
        model_as_of=AS_OF,
        inputs=inputs,
    )


def inputs_of(users: list[str], items: list[str]) -> ModelInputs:
    return replace(make_inputs(np.zeros((len(users), len(items)))), users=Vocabulary("user", users), items=Vocabulary("item", items))


def test_users_and_items_are_joined_by_id() -> None:
    inputs = inputs_of(["b", "c", "d"], ["x", "y", "z"])
    # The model knows users a, b, d and items w, y, z.
    model = realigned([[1, 2, 3], [4, 5, 6], [7, 8, 9]], ["d", "a", "b"], ["z", "w", "y"], inputs)
    scores_BI = model.score(np.array([2, 1, 0]))
    np.testing.assert_array_equal(scores_BI[:, 1:], [[8, 9], [0, 0], [5, 6]])
    assert scores_BI[0, 0] < 7, "an item the model does not know is below all it knows"
    assert scores_BI[2, 0] < 4
    assert scores_BI.dtype == np.float32


@pytest.mark.parametrize("lowest", [-1e6, -1.0, 0.0, 1e-30, 5.0, 1e8])
def test_unknown_items_are_below_the_worst_at_any_scale(lowest: float) -> None:
    inputs = inputs_of(["a"], ["x", "y"])
    scores_BI = realigned([[lowest]], ["a"], ["y"], inputs).score(np.array([0]))
    assert np.isfinite(scores_BI).all()
    assert scores_BI[0, 0] < scores_BI[0, 1]


def test_a_model_of_another_world_is_silent() -> None:
    inputs = inputs_of(["a", "b"], ["x", "y"])
    np.testing.assert_array_equal(realigned([[5.0]], ["zoe"], ["y"], inputs).score(np.array([0, 1])), np.zeros((2, 2)))
    np.testing.assert_array_equal(realigned([[5.0]], ["a"], ["nowhere"], inputs).score(np.array([0, 1])), np.zeros((2, 2)))


def test_unknown_users_are_ranked_by_popularity() -> None:
    inputs = awkward_world()
    model = Realigned(
        Named(np.zeros((0, 0))), model_users=Vocabulary("user", []), model_items=Vocabulary("item", []), model_as_of=AS_OF, inputs=inputs
    )
    truth = truth_of(inputs.seen_UI.toarray() == 0)
    popularity = Popularity().fit(inputs, rng=np.random.default_rng(0))
    evaluation = evaluate({"popularity": popularity, "live": model}, inputs=inputs, truth=truth, config=EvaluationConfig(num_bootstrap=10))
    live = figures(evaluation, model="live")
    assert live.pop("silent_users") == 1.0
    assert live.items() <= figures(evaluation, model="popularity").items()


def test_on_its_own_vocabularies_nothing_changes() -> None:
    inputs = awkward_world()
    model = ItemKNN().fit(inputs, rng=np.random.default_rng(0))
    same = Realigned(model, model_users=inputs.users, model_items=inputs.items, model_as_of=inputs.as_of, inputs=inputs)
    everyone = np.arange(len(inputs.users))
    np.testing.assert_array_equal(same.score(everyone), model.score(everyone))


def test_a_model_that_knows_the_answers_is_refused() -> None:
    inputs = awkward_world()
    with pytest.raises(ReleaseError, match="has seen answers of this test"):
        Realigned(
            ItemKNN(),
            model_users=inputs.users,
            model_items=inputs.items,
            model_as_of=inputs.as_of + timedelta(microseconds=1),
            inputs=inputs,
        )


def test_positions_outside_the_inputs_raise() -> None:
    model = realigned([[1.0]], ["a"], ["x"], inputs_of(["a"], ["x"]))
    with pytest.raises(UnknownIdError):
        model.score(np.array([1]))
    assert model.score(np.zeros(0, dtype=np.int64)).shape == (0, 1)
