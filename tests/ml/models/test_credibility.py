"""What little credible users did counts less for others, in every model that learns from users, and whole credibility changes nothing."""

from dataclasses import replace

import numpy as np
import pytest

from ml.config.pipeline import ModelConfig
from ml.models.ease import EASE
from ml.models.gnn.fingerprints import fingerprint_of
from ml.models.gnn.relations import likes
from ml.models.item_knn import ItemKNN
from tests.ml.models.worlds import make_inputs

RNG = np.random.default_rng(0)
# Users 0 to 3 like items 0 and 1; users 4 and 5 pretend that 2 goes with 0.
LIKED_UI = np.array([[1, 1, 0]] * 4 + [[1, 0, 1]] * 2, dtype=float)
ALL = np.ones(6, dtype=np.float32)
HALF_BELIEVED = np.array([1, 1, 1, 1, 0.001, 0.001], dtype=np.float32)


@pytest.mark.parametrize("model", [lambda: ItemKNN(shrinkage=0.0), lambda: EASE(regularization=1.0)], ids=["item_knn", "ease"])
def test_pretended_company_of_items_fades(model) -> None:
    inputs = make_inputs(LIKED_UI)
    reader = np.array([0])
    plain = model().fit(inputs, rng=RNG).score(reader)[0]
    whole = model().fit(replace(inputs, credibility_U=ALL), rng=RNG).score(reader)[0]
    doubted = model().fit(replace(inputs, credibility_U=HALF_BELIEVED), rng=RNG).score(reader)[0]
    assert np.array_equal(plain, whole)
    assert abs(doubted[2]) < 0.1 * abs(plain[2])


def test_a_like_is_worth_as_much_as_its_user_is_believed() -> None:
    inputs = make_inputs(2.0 * LIKED_UI)
    np.testing.assert_array_equal(inputs.credible_UI.toarray(), LIKED_UI)
    doubted_UI = replace(inputs, credibility_U=HALF_BELIEVED).credible_UI
    np.testing.assert_array_equal(doubted_UI.toarray(), (HALF_BELIEVED[:, None] * LIKED_UI).astype(np.float32))
    assert doubted_UI.has_sorted_indices


def test_a_small_power_forgives_no_lie() -> None:
    inputs = replace(make_inputs(LIKED_UI), credibility_U=HALF_BELIEVED)
    weights = likes(inputs, power=0.1).toarray()
    assert weights[4, 2] == pytest.approx(0.001)
    assert weights[0, 1] == 1.0


def test_a_checkpoint_knows_who_was_believed() -> None:
    inputs = make_inputs(LIKED_UI)
    prints = {
        fingerprint_of(found, model="interest_gnn", config=ModelConfig(), rng=RNG)
        for found in (inputs, replace(inputs, credibility_U=HALF_BELIEVED))
    }
    assert len(prints) == 2
