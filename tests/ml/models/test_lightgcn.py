"""LightGCN keeps the recommender contract, is what its paper says, learns, and folds new users in by propagation."""

from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from ml.config.pipeline import LightGCNConfig
from ml.models.adjacency import normalize_symmetric
from ml.models.gnn.fitting import Trainer
from ml.models.gnn.lightgcn import LightGCN, LightGCNNetwork
from ml.models.gnn.relations import likes
from ml.models.gnn.sampling import batches, likes_to_learn
from ml.models.gnn.vector_recommender import log_popularity
from ml.models.inputs import ModelInputs
from ml.models.popularity import Popularity
from tests.ml.models.recommender_contract import RecommenderContract, everyone, rank
from tests.ml.models.worlds import awkward_world, make_inputs, relabelled, two_tastes

CPU = torch.device("cpu")
SMALL = LightGCNConfig(embedding_size=16, epochs=10, batch_size=64, num_negatives=64, device="cpu")


def fit(inputs: ModelInputs, *, config: LightGCNConfig = SMALL, seed: int = 3, validation_UI: sp.csr_array | None = None) -> LightGCN:
    return LightGCN(config).fit(inputs, rng=np.random.default_rng(seed), validation_UI=validation_UI)


def built(inputs: ModelInputs, *, config: LightGCNConfig = SMALL) -> LightGCNNetwork:
    likes_UI = likes(inputs, power=config.edge_weight_power)
    return LightGCNNetwork(likes_UI, config=config, rng=np.random.default_rng(0), device=CPU)


def blocks_world(*, num_users: int = 300, num_items: int = 60, num_groups: int = 6) -> ModelInputs:
    """Groups that mostly like their own items, at random, with a few strays."""
    rng = np.random.default_rng(8)
    is_own_UI = np.arange(num_users)[:, None] % num_groups == np.arange(num_items)[None, :] % num_groups
    return make_inputs((rng.random((num_users, num_items)) < np.where(is_own_UI, 0.6, 0.03)).astype(float))


class TestLightGCN(RecommenderContract):
    ignores_user_order = False
    folds_in_exactly = False

    def build(self) -> LightGCN:
        return LightGCN(SMALL)


class TestLightGCNOfThreeLayers(RecommenderContract):
    ignores_user_order = False
    folds_in_exactly = False

    def build(self) -> LightGCN:
        return LightGCN(SMALL.model_copy(update={"num_layers": 3, "batches_per_step": 2}))


@pytest.mark.parametrize("num_layers", [1, 2, 3])
def test_vectors_are_the_mean_of_the_layers_by_the_dense_formula(num_layers: int) -> None:
    inputs = awkward_world()
    network = built(inputs, config=SMALL.model_copy(update={"num_layers": num_layers}))
    own = np.concatenate([network.own[kind].detach().numpy() for kind in ("user", "item")])
    likes_UI = normalize_symmetric(likes(inputs, power=SMALL.edge_weight_power)).toarray()
    joint_NN = np.block([[np.zeros((12, 12)), likes_UI], [likes_UI.T, np.zeros((9, 9))]])
    mean_ND = sum(np.linalg.matrix_power(joint_NN, layer) @ own for layer in range(num_layers + 1))
    expected_ND = mean_ND / np.maximum(np.linalg.norm(mean_ND, axis=1, keepdims=True), 1e-12)
    found = network.unit_vectors()
    np.testing.assert_allclose(np.concatenate([found["user"], found["item"]]), expected_ND, atol=1e-5)


def test_permuting_users_permutes_what_is_propagated() -> None:
    inputs = awkward_world()
    order = np.random.default_rng(2).permutation(12)
    network, moved = built(inputs), built(relabelled(inputs, order))
    moved.load_state_dict({"own.user": network.own["user"].detach()[order], "own.item": network.own["item"].detach()})
    found, found_moved = network.unit_vectors(), moved.unit_vectors()
    torch.testing.assert_close(found_moved["user"], found["user"][order])
    torch.testing.assert_close(found_moved["item"], found["item"])


def test_twenty_likes_can_be_learned_by_heart() -> None:
    """10 users with 2 likes each, no pattern: after training, their own likes rank first (nothing excluded)."""
    rng = np.random.default_rng(5)
    liked_UI = np.zeros((10, 12))
    for user in range(10):
        liked_UI[user, rng.choice(12, 2, replace=False)] = 1.0
    config = SMALL.model_copy(update={"epochs": 150, "popularity_correction": 0.0})
    scores_UI = fit(make_inputs(liked_UI), config=config).score(np.arange(10))
    best_U2 = np.argsort(-scores_UI, axis=1)[:, :2]
    assert (np.take_along_axis(liked_UI, best_U2, axis=1) == 1.0).mean() == 1.0


def test_the_gradient_of_summed_batches_is_that_of_automatic_differentiation() -> None:
    """Through the propagation in one piece, by torch alone, at the drawn negatives."""
    inputs = awkward_world()
    config = SMALL.model_copy(update={"regularization": 0.01, "num_layers": 2})
    network, learned = built(inputs, config=config), likes_to_learn(inputs, weight_power=0.3)
    group = tuple(batches(learned, batch_size=13, generator=torch.Generator().manual_seed(1)))
    Trainer(network, learned, config, torch.Generator().manual_seed(0), CPU).step(*group)
    found = [parameter.grad.clone() for parameter in network.parameters() if parameter.grad is not None]

    network, generator = built(inputs, config=config), torch.Generator().manual_seed(0)
    vectors, total = network(), torch.zeros(())
    share_I = torch.bincount(learned.item_E, minlength=9).clamp_min(1) / len(learned)
    for batch in group:
        negative_N = learned.item_E[torch.randint(len(learned), (config.num_negatives,), generator=generator)]
        users_BD = vectors["user"][batch.user_E] / config.temperature
        logit_B = (users_BD * vectors["item"][batch.item_E]).sum(1) + share_I.log()[batch.item_E]
        negative_BN = users_BD @ vectors["item"][negative_N].T
        counts_BN = batch.item_E[:, None] != negative_N
        sum_B = logit_B.exp() + (negative_BN.exp() * counts_BN).sum(1) / len(negative_N)
        squares = network.own["user"][batch.user_E].square().sum() + network.own["item"][batch.item_E].square().sum()
        total = total + (batch.weight_E * (sum_B.log() - logit_B)).sum() / len(learned) + 0.01 * squares / len(learned)
    for gradient, expected in zip(found, torch.autograd.grad(total, list(network.parameters())), strict=True):
        torch.testing.assert_close(gradient, expected, rtol=1e-3, atol=1e-5)


def test_a_step_learns_from_its_own_batches_only() -> None:
    inputs, _ = two_tastes()

    def after_two_steps(*, clean: bool) -> list[torch.Tensor]:
        network = built(inputs)
        trainer = Trainer(network, likes_to_learn(inputs, weight_power=0.3), SMALL, torch.Generator().manual_seed(0), CPU)
        for batch in batches(trainer.learned, batch_size=200, generator=torch.Generator().manual_seed(1)):
            trainer.step(batch)
            for parameter in network.parameters() if clean else ():
                parameter.grad = None
        return [parameter.detach() for parameter in network.parameters()]

    for carried, cleaned in zip(after_two_steps(clean=False), after_two_steps(clean=True), strict=True):
        assert torch.equal(carried, cleaned)


def test_the_loss_falls_and_tastes_are_told_apart_where_popularity_cannot() -> None:
    inputs, withheld_U = two_tastes()
    model = fit(inputs)
    assert model.history[-1].loss < model.history[0].loss - 0.05
    assert (rank(model, inputs, k=1)[:, 0] == withheld_U).all()
    baseline = Popularity().fit(inputs, rng=np.random.default_rng(0))
    assert (rank(baseline, inputs, k=1)[:, 0] == withheld_U).mean() < 0.5


def test_scores_are_cosines_over_temperature_plus_corrected_log_popularity() -> None:
    inputs = awkward_world()
    model = fit(inputs, config=SMALL.model_copy(update={"popularity_correction": 0.5}))
    cosine_UI = model.user_vectors @ model.item_vectors.T
    expected_UI = cosine_UI / SMALL.temperature + 0.5 * log_popularity(inputs)
    np.testing.assert_allclose(model.score(everyone(inputs)), expected_UI, rtol=1e-5, atol=1e-5)


def test_the_same_seed_gives_the_same_bits_and_another_others() -> None:
    inputs, _ = two_tastes()
    first, again, other = fit(inputs, seed=1), fit(inputs, seed=1), fit(inputs, seed=2)
    assert first.user_vectors.tobytes() == again.user_vectors.tobytes()
    assert first.history == again.history
    assert first.user_vectors.tobytes() != other.user_vectors.tobytes()


def test_it_stops_early_and_goes_back_to_the_best_epoch() -> None:
    inputs, withheld_U = two_tastes()
    validation_UI = sp.csr_array((np.ones(48), (np.arange(48), withheld_U)), shape=(48, 16))
    model = fit(inputs, config=SMALL.model_copy(update={"epochs": 60, "patience": 3}), validation_UI=validation_UI)
    best = int(np.argmax([epoch.validation for epoch in model.history])) + 1
    assert len(model.history) == best + 3 < 60
    assert model.chosen_config.epochs == best
    np.testing.assert_array_equal(fit(inputs, config=model.chosen_config).item_vectors, model.item_vectors)


def test_a_killed_fit_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    inputs, _ = two_tastes()

    def progress(done: int, _total: int) -> None:
        if done == 4:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        LightGCN(SMALL).fit(inputs, rng=np.random.default_rng(3), progress=progress, checkpoints=tmp_path)
    trained_epochs: list[int] = []
    resumed = LightGCN(SMALL).fit(
        inputs, rng=np.random.default_rng(3), progress=lambda done, _: trained_epochs.append(done), checkpoints=tmp_path
    )
    assert trained_epochs == [5, 6, 7, 8, 9, 10]
    assert resumed.user_vectors.tobytes() == fit(inputs).user_vectors.tobytes()
