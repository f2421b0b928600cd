"""A world without some edges holds all others, and a hybrid over it is one that never knew them."""

import numpy as np
import pytest

from ml.config.pipeline import HybridConfig, ModelConfig
from ml.errors import ConfigError, ReleaseError, UnknownIdError
from ml.graph.edge_types import ABOUT, HAS_INTEREST, INTERACTED
from ml.graph.interest_graph import EdgeType
from ml.models.ablation import Ablation
from ml.models.deletion import steps_of, without_edges, without_likes, without_path
from ml.models.gnn.lightgcn import LightGCN
from ml.models.histories import Histories
from ml.models.hybrid.hybrid import Hybrid
from ml.ranking.paths import path_exists
from tests.ml.models.worlds import make_inputs, with_interests

LIKED = np.array([[1.0, 2.0, 0.0, 0.0], [1.0, 0.0, 3.0, 0.0], [0.0, 1.0, 1.0, 1.0]])
WORLD = with_interests(make_inputs(LIKED), {"茶": [0, 1, 2], "杯": [3]})
USER, ITEMS = "user:用户0000", [f"item:item-{number:04d}-茶" for number in range(4)]
GNN = ModelConfig(embedding_size=4, epochs=2, batch_size=16, num_negatives=4, device="cpu")
POOL = HybridConfig(models=("interest_gnn", "item_knn", "ease", "popularity"))


def likes(inputs) -> np.ndarray:
    return inputs.positives_UI.toarray()


def test_a_like_goes_from_likes_ages_and_graph_and_stays_met() -> None:
    left = without_edges(WORLD, [(USER, "interacted", ITEMS[1])])
    expected = LIKED.copy()
    expected[0, 1] = 0.0
    np.testing.assert_array_equal(likes(left), expected)
    np.testing.assert_array_equal(left.graph.adjacency(INTERACTED).toarray(), expected)
    np.testing.assert_array_equal(left.age_UI.toarray() > 0, expected > 0)
    np.testing.assert_array_equal(left.seen_UI.toarray(), WORLD.seen_UI.toarray())
    assert not path_exists(left.graph, [USER, "interacted", ITEMS[1]])


def test_the_way_an_edge_is_walked_does_not_matter() -> None:
    for step in ((ITEMS[1], "interacted", USER), (USER, "interacted", ITEMS[1])):
        np.testing.assert_array_equal(likes(without_edges(WORLD, [step])), likes(without_edges(WORLD, [(USER, "interacted", ITEMS[1])])))


def test_every_edge_of_a_path_goes_and_no_other() -> None:
    path = [USER, "interacted", ITEMS[0], "about", "interest:茶", "about", ITEMS[2]]
    left = without_path(WORLD, path)
    assert not any(path_exists(left.graph, step) for step in steps_of(path))
    assert {known: len(WORLD.graph.edges[known]) - len(left.graph.edges[known]) for known in WORLD.graph.edges} == {
        INTERACTED: 1,
        ABOUT: 2,
        HAS_INTEREST: 0,
    }


def test_an_interest_goes_with_the_likes_it_comes_from() -> None:
    left = without_path(WORLD, [USER, "has_interest", "interest:茶", "about", ITEMS[2]])
    np.testing.assert_array_equal(likes(left)[0], 0.0)
    np.testing.assert_array_equal(likes(left)[1:], LIKED[1:])
    assert not path_exists(left.graph, [USER, "has_interest", "interest:茶"])
    assert not path_exists(left.graph, [ITEMS[2], "about", "interest:茶"])


def test_a_path_through_another_user_takes_their_likes() -> None:
    left = without_path(WORLD, [USER, "interacted", ITEMS[1], "interacted", "user:用户0002", "interacted", ITEMS[3]])
    expected = LIKED.copy()
    expected[0, 1] = expected[2, 1] = expected[2, 3] = 0.0
    np.testing.assert_array_equal(likes(left), expected)


def test_the_last_edge_of_a_type_takes_the_type() -> None:
    left = without_edges(WORLD, [(ITEMS[number], "about", "interest:茶") for number in range(3)] + [(ITEMS[3], "about", "interest:杯")])
    assert EdgeType("item", "about", "interest") not in left.graph.edges


def test_an_edge_that_is_not_there_is_no_error_a_node_is() -> None:
    np.testing.assert_array_equal(likes(without_edges(WORLD, [(USER, "interacted", ITEMS[3])])), LIKED)
    with pytest.raises(UnknownIdError, match="nobody"):
        without_edges(WORLD, [("user:nobody", "interacted", ITEMS[0])])


def test_likes_are_deleted_by_pair() -> None:
    left = without_likes(WORLD.histories, row=[0, 2], item=[1, 3])
    expected = LIKED.copy()
    expected[0, 1] = expected[2, 3] = 0.0
    np.testing.assert_array_equal(left.positives_UI.toarray(), expected)
    assert without_likes(Histories(WORLD.positives_UI), row=[0], item=[0]).age_UI is None


@pytest.fixture(scope="module")
def model() -> Hybrid:
    return Hybrid.of(POOL, model=GNN).fit(WORLD, rng=np.random.default_rng(0))


def everything(model: Hybrid, inputs) -> np.ndarray:
    return model.fold_in(inputs.histories, met_BI=inputs.seen_UI)


def test_in_its_own_world_a_hybrid_is_itself(model) -> None:
    np.testing.assert_allclose(everything(model.in_world(WORLD, seed=1), WORLD), everything(model, WORLD), atol=1e-4)
    np.testing.assert_allclose(model.in_world(WORLD, seed=1).score(np.arange(3)), model.score(np.arange(3)), atol=1e-4)


def test_in_another_world_closed_models_are_those_fitted_on_it(model) -> None:
    other = without_edges(WORLD, [(USER, "interacted", ITEMS[1])])
    world = model.in_world(other, seed=1)
    fresh = Hybrid.of(POOL, model=GNN).fit(other, rng=np.random.default_rng(0))
    for name in ("item_knn", "ease", "popularity"):
        np.testing.assert_array_equal(world.models[name].score(np.arange(3)), fresh.models[name].score(np.arange(3)))


def test_the_network_reads_the_edges_of_its_world(model) -> None:
    """An item without its interest has another vector; nobody's likes have changed."""
    other = without_edges(WORLD, [(ITEMS[3], "about", "interest:杯")])
    world = model.in_world(other, seed=1)
    assert np.abs(world.item_vectors[3] - model.item_vectors[3]).max() > 1e-3
    np.testing.assert_array_equal(world.models["item_knn"].score(np.arange(3)), model.models["item_knn"].score(np.arange(3)))
    assert world.gnn.chosen_config == model.gnn.chosen_config


def test_the_model_that_was_asked_stays_as_it_was(model) -> None:
    before = everything(model, WORLD)
    model.in_world(without_edges(WORLD, [(USER, "interacted", ITEMS[1])]), seed=1)
    np.testing.assert_array_equal(everything(model, WORLD), before)


def test_what_cannot_be_propagated_again_is_refused(tmp_path) -> None:
    with_other = Hybrid.of(HybridConfig(models=("interest_gnn", LightGCN.name)), model=GNN)
    with pytest.raises(ConfigError, match="lightgcn cannot be propagated"):
        with_other.in_world(WORLD, seed=1)
    forgetful = Hybrid.of(POOL, model=GNN).fit(WORLD, rng=np.random.default_rng(0))
    forgetful.forget_network_state()
    with pytest.raises(ReleaseError, match="has no network to propagate"):
        forgetful.in_world(WORLD, seed=1)


def test_an_ablation_is_folding_in_the_reduced_history_with_the_deleted_still_met(model) -> None:
    asked = Ablation(model, WORLD.histories.take(np.array([0])), np.array([3]))
    assert asked.liked_L.tolist() == [0, 1]
    found_BK = asked(np.array([[True, True], [True, False], [False, False]]), np.arange(4))
    met = np.array([[1.0, 1.0, 0.0, 1.0]])
    for row, kept in enumerate(([0, 1], [0], [])):
        weights = np.zeros((1, 4))
        weights[0, kept] = LIKED[0, kept]
        alone = make_inputs(weights)
        expected = model.fold_in(Histories(alone.positives_UI, alone.age_UI), met_BI=type(alone.seen_UI)(met))
        np.testing.assert_array_equal(found_BK[row], expected[0])


def test_an_ablation_is_of_one_user(model) -> None:
    with pytest.raises(ValueError, match="2 rows"):
        Ablation(model, WORLD.histories.take(np.array([0, 1])), np.zeros(0, dtype=np.int64))


def test_what_was_met_takes_no_evidence_and_must_fit(model) -> None:
    alone, met_too = WORLD.histories.take(np.array([0])), WORLD.seen_UI[[0]].toarray()
    met_too[0, 3] = 1.0
    as_it_is = model.fold_in(alone)
    np.testing.assert_array_equal(model.fold_in(alone, met_BI=alone.liked_UI), as_it_is)
    shared = model.fold_in(alone, met_BI=type(alone.liked_UI)(met_too))
    # What the fourth item no longer takes goes to the third.
    assert shared[0, 2] > as_it_is[0, 2]
    assert shared[0, 3] < as_it_is[0, 3]
    with pytest.raises(ValueError, match="met_BI has shape"):
        model.fold_in(alone, met_BI=WORLD.seen_UI)
