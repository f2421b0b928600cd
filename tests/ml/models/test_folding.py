"""New users and new items without training: by the network's own rule, near what a fit would have given."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from ml.config.pipeline import LightGCNConfig, ModelConfig
from ml.errors import ReleaseError
from ml.graph.build import ABOUT
from ml.graph.interest_graph import Edges, InterestGraph
from ml.ids import Vocabulary
from ml.models.adjacency import normalize_symmetric
from ml.models.gnn.folding import folding_messages, unit_rows
from ml.models.gnn.interest_gnn import InterestGNN
from ml.models.gnn.lightgcn import LightGCN
from ml.models.gnn.network import InterestNetwork
from ml.models.gnn.relations import likes
from ml.models.gnn.sage import GraphSAGE
from ml.models.gnn.vector_recommender import VectorRecommender
from ml.models.histories import Histories
from ml.models.inputs import ModelInputs
from ml.models.storage import load_model, save_model
from tests.ml.models.recommender_contract import everyone
from tests.ml.models.worlds import make_inputs, two_tastes

GNN = ModelConfig(embedding_size=16, epochs=10, batch_size=256, num_negatives=256, device="cpu")
LIGHT = LightGCNConfig(embedding_size=16, epochs=10, batch_size=256, num_negatives=256, device="cpu")


def random_world() -> ModelInputs:
    """400 users and 300 items of 6 hidden tastes in all strengths, some items more popular."""
    rng = np.random.default_rng(0)
    affinity_UI = 2.2 * rng.normal(size=(400, 6)) @ rng.normal(size=(6, 300)) / np.sqrt(6) + 0.7 * rng.normal(size=300)
    return make_inputs((rng.random((400, 300)) < 1 / (1 + np.exp(4 - affinity_UI))).astype(float))


def newcomers() -> ModelInputs:
    """Two tastes, and items 16 (taste 0) and 17 (taste 1) that nobody has met."""
    inputs, _ = two_tastes()
    taste_I = np.arange(18) % 2
    text_ID = np.concatenate([np.eye(2)[taste_I], 0.2 * np.eye(18)], axis=1)
    text_ID /= np.linalg.norm(text_ID, axis=1, keepdims=True)
    return make_inputs(np.pad(inputs.positives_UI.toarray(), ((0, 0), (0, 2))), text_ID=text_ID)


def overlap(model: VectorRecommender, inputs: ModelInputs, *, k: int = 10) -> float:
    """Mean share of a user's k best unseen items that folding in finds too."""
    seen_UI = inputs.seen_UI.toarray() > 0
    best = [
        np.argsort(np.where(seen_UI, -np.inf, scores_UI), axis=1)[:, -k:]
        for scores_UI in (model.score(everyone(inputs)), model.fold_in(inputs.histories))
    ]
    return float(np.mean([len(set(own) & set(folded)) / k for own, folded in zip(*best, strict=True)]))


@pytest.mark.parametrize(("model", "least"), [(InterestGNN(GNN), 0.8), (LightGCN(LIGHT), 0.7)], ids=["interest_gnn", "lightgcn"])
def test_folding_in_ranks_nearly_as_users_own_vectors(model: VectorRecommender, least: float) -> None:
    """Ten of 300 by chance overlap by 0.03; the middle of the liked items' vectors by 0.69 and 0.58."""
    inputs = random_world()
    model.fit(inputs, rng=np.random.default_rng(0))
    assert overlap(model, inputs) > least
    model.fit(two_tastes()[0], rng=np.random.default_rng(0))
    assert overlap(model, two_tastes()[0]) > 0.9


@pytest.mark.parametrize("power", [0.0, 1.0])
@pytest.mark.parametrize("build", [lambda power: InterestGNN(of_power(GNN, power)), lambda power: LightGCN(of_power(LIGHT, power))])
def test_likes_may_count_the_same_or_as_they_are(build: Callable[[float], VectorRecommender], power: float) -> None:
    inputs, _ = two_tastes()
    model = build(power).fit(inputs, rng=np.random.default_rng(3))
    stronger = Histories(sp.csr_array(inputs.positives_UI @ sp.diags_array(np.linspace(1, 9, 16))))
    are_alike = np.allclose(model.fold_in(stronger), model.fold_in(inputs.histories))
    assert are_alike == (power == 0.0)


def of_power(config: ModelConfig, power: float) -> ModelConfig:
    return config.model_copy(update={"edge_weight_power": power, "epochs": 1})


def test_items_tell_what_the_layers_bring_to_users() -> None:
    """Messages by degree are the users' propagated vectors where users have no own: the rule itself, against the network."""
    inputs = random_world()
    network = InterestNetwork(inputs, config=GNN, rng=np.random.default_rng(0), device=torch.device("cpu"))
    one_layer = InterestNetwork(
        inputs, config=GNN.model_copy(update={"num_layers": 1}), rng=np.random.default_rng(0), device=torch.device("cpu")
    )
    with torch.no_grad():
        one_layer.own["user"].zero_()
    likes_UI = likes(inputs, power=GNN.edge_weight_power)
    told_UD = normalize_symmetric(likes_UI) @ one_layer.item_messages().numpy()
    np.testing.assert_allclose(unit_rows(told_UD), one_layer.unit_vectors()["user"].numpy(), atol=1e-5)
    assert network.item_messages().shape == (300, 16)
    assert not torch.allclose(network.item_messages(), one_layer.item_messages())


def test_where_users_have_nothing_of_their_own_the_map_changes_nothing() -> None:
    rng = np.random.default_rng(1)
    likes_UI = sp.csr_array((rng.random((200, 30)) < 0.3) * 1.0)
    told_ID = rng.normal(size=(30, 5)).astype(np.float32)
    brought_UD = unit_rows(normalize_symmetric(likes_UI) @ told_ID)
    messages_ID = folding_messages(told_ID, likes_UI=likes_UI, user_vectors_UD=brought_UD)
    np.testing.assert_allclose(unit_rows(likes_UI @ messages_ID), brought_UD, atol=1e-4)


def test_a_new_item_by_text_alone_has_the_vector_it_would_have_had_and_lands_in_its_taste(tmp_path: Path) -> None:
    inputs = newcomers()
    model = InterestGNN(GNN).fit(inputs, rng=np.random.default_rng(3))
    embedded_2D = model.embed_items(inputs.text_ID[16:])
    np.testing.assert_allclose(embedded_2D, model.item_vectors[16:], atol=1e-5)
    cosine_U2 = model.user_vectors @ embedded_2D.T
    taste_U = np.arange(48) % 2
    assert cosine_U2[np.arange(48), taste_U].min() > cosine_U2[np.arange(48), 1 - taste_U].max() + 0.5
    model.save(tmp_path)
    again = InterestGNN.load(tmp_path)
    assert again.embed_items(inputs.text_ID[16:]).tobytes() == embedded_2D.tobytes()
    assert again.fold_in(inputs.histories).tobytes() == model.fold_in(inputs.histories).tobytes()


def test_items_without_text_have_no_vector_and_none_gives_none() -> None:
    model = InterestGNN(GNN).fit(newcomers(), rng=np.random.default_rng(3))
    np.testing.assert_array_equal(model.embed_items(np.zeros((2, 20), dtype=np.float32)), np.zeros((2, 16)))
    assert model.embed_items(np.zeros((0, 20), dtype=np.float32)).shape == (0, 16)
    with pytest.raises(ValueError, match="text model"):
        model.embed_items(np.zeros((1, 3), dtype=np.float32))
    with pytest.raises(ReleaseError):
        InterestGNN(GNN).embed_items(np.zeros((1, 3), dtype=np.float32))


def test_new_items_are_embedded_between_full_fits_too_and_refused_where_layers_are_not_linear() -> None:
    inputs = newcomers()
    model = InterestGNN(GNN).fit(inputs, rng=np.random.default_rng(3))
    before_2D = model.embed_items(inputs.text_ID[16:])
    model.network_state = None
    np.testing.assert_array_equal(model.embed_items(inputs.text_ID[16:]), before_2D)
    with pytest.raises(ReleaseError, match="layers are not linear"):
        GraphSAGE(GNN).fit(inputs, rng=np.random.default_rng(3)).embed_items(inputs.text_ID)


def test_a_model_saved_before_there_were_messages_scores_but_says_that_it_folds_nobody_in(tmp_path: Path) -> None:
    inputs = newcomers()
    model = InterestGNN(GNN).fit(inputs, rng=np.random.default_rng(3))
    model.save(tmp_path / "new")
    parameters, arrays = load_model(tmp_path / "new", name="interest_gnn")
    old = {name: array for name, array in arrays.items() if name not in {"item_messages", "text_mean"}}
    save_model(tmp_path / "old", name="interest_gnn", parameters=parameters, arrays=old)
    found = InterestGNN.load(tmp_path / "old")
    np.testing.assert_array_equal(found.score(everyone(inputs)), model.score(everyone(inputs)))
    with pytest.raises(ReleaseError, match="fit and save it again"):
        found.fold_in(inputs.histories)
    with pytest.raises(ReleaseError, match="with the items in its catalogue"):
        found.embed_items(inputs.text_ID)


def test_an_isolated_item_keeps_its_text_vector_whatever_else_the_graph_says() -> None:
    inputs = newcomers()
    interests = Vocabulary("interest", ["even", "odd"])
    about = Edges(np.arange(16), np.arange(16) % 2, np.ones(16, dtype=np.float32))
    graph = InterestGraph(inputs.graph.vocabularies | {"interest": interests}, inputs.graph.edges | {ABOUT: about})
    model = InterestGNN(GNN).fit(replace(inputs, graph=graph), rng=np.random.default_rng(3))
    np.testing.assert_allclose(model.embed_items(inputs.text_ID[16:]), model.item_vectors[16:], atol=1e-5)
