"""Node2Vec keeps the recommender contract; its walks have the paper's odds, its training the usual invariants."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from pydantic import ValidationError

from ml.graph.build import ABOUT
from ml.graph.interest_graph import Edges, InterestGraph
from ml.ids import Vocabulary
from ml.models.node2vec import Node2Vec, joined
from ml.models.skip_gram import Node2VecSettings, SkipGram, SkipGramTrainer, pairs
from ml.models.walks import WalkGraph, walks
from tests.ml.models.recommender_contract import RecommenderContract
from tests.ml.models.worlds import awkward_world, make_inputs, relabelled, two_tastes

SMALL = Node2VecSettings(embedding_size=16, epochs=8, num_negatives=64, batch_size=2048, learning_rate=0.03)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def fit(inputs, *, settings: Node2VecSettings = SMALL, seed: int = 3) -> Node2Vec:
    return Node2Vec(settings).fit(inputs, rng=np.random.default_rng(seed))


class TestNode2Vec(RecommenderContract):
    ignores_user_order = False
    folds_in_exactly = False

    def build(self) -> Node2Vec:
        return Node2Vec(SMALL)


def kite() -> tuple[WalkGraph, np.ndarray]:
    """0 and 1 joined to each other and to 2, 2 to 3 besides: from 0 over 2, 0 is back, 1 is near, 3 is far."""
    weight_NN = np.zeros((5, 5))
    for left, right, weight in ((0, 1, 1.0), (0, 2, 2.0), (1, 2, 3.0), (2, 3, 0.5)):
        weight_NN[left, right] = weight_NN[right, left] = weight
    return WalkGraph.of(sp.csr_array(weight_NN)), weight_NN


@pytest.mark.parametrize(("p", "q"), [(1.0, 1.0), (0.25, 4.0), (4.0, 0.25), (3.0, 3.0)])
def test_second_steps_have_the_odds_of_the_paper(p: float, q: float) -> None:
    graph, weight_NN = kite()
    found_WL = walks(graph, torch.zeros(200_000, dtype=torch.int64), length=3, p=p, q=q, generator=seeded())
    over_2 = found_WL[found_WL[:, 1] == 2]
    assert len(over_2) / 200_000 == pytest.approx(2 / 3, abs=0.01)
    odds_N = weight_NN[2] * np.array([1 / p, 1.0, 0.0, 1 / q, 0.0])
    np.testing.assert_allclose(np.bincount(over_2[:, 2].numpy(), minlength=5) / len(over_2), odds_N / odds_N.sum(), atol=0.01)


def test_walks_step_along_edges_only() -> None:
    graph, weight_NN = kite()
    assert graph.connected.tolist() == [0, 1, 2, 3]
    found_WL = walks(graph, graph.connected.repeat(50), length=9, p=0.5, q=2.0, generator=seeded()).numpy()
    assert (weight_NN[found_WL[:, :-1], found_WL[:, 1:]] > 0).all()


def test_a_tiny_weight_beside_a_huge_one_is_never_left_behind_its_row() -> None:
    weight_NN = np.zeros((4, 4))
    weight_NN[0, 1] = weight_NN[1, 0] = 1e12
    weight_NN[2, 3] = weight_NN[3, 2] = 1e-9
    found_WL = walks(WalkGraph.of(sp.csr_array(weight_NN)), torch.tensor([2, 3] * 100), length=4, p=1.0, q=1.0, generator=seeded())
    assert set(found_WL.reshape(-1).tolist()) == {2, 3}


def test_pairs_are_all_within_the_window_both_ways() -> None:
    center_P, around_P = pairs(torch.tensor([[0, 1, 2, 3], [4, 5, 6, 7]]), window=2)
    expected = Counter()
    for walk in ([0, 1, 2, 3], [4, 5, 6, 7]):
        expected.update((walk[left], walk[right]) for left in range(4) for right in range(4) if 0 < abs(left - right) <= 2)
    assert Counter(zip(center_P.tolist(), around_P.tolist(), strict=True)) == expected
    short_P, _ = pairs(torch.tensor([[0, 1]]), window=5)
    assert short_P.tolist() == [0, 1]


def test_twenty_likes_can_be_learned_by_heart() -> None:
    """10 users with 2 likes each, no pattern: their own likes rank first (nothing excluded)."""
    rng = np.random.default_rng(5)
    liked_UI = np.zeros((10, 12))
    for user in range(10):
        liked_UI[user, rng.choice(12, 2, replace=False)] = 1.0
    settings = SMALL.model_copy(update={"epochs": 60, "window": 1})
    best_U2 = np.argsort(-fit(make_inputs(liked_UI), settings=settings).score(np.arange(10)), axis=1)[:, :2]
    assert (np.take_along_axis(liked_UI, best_U2, axis=1) == 1.0).all()


def test_a_step_learns_from_its_own_batch_only() -> None:
    """Each step starts from no gradient: two steps equal two steps with the gradient removed in between."""
    graph, _ = kite()

    def after_two_steps(*, clean: bool) -> list[torch.Tensor]:
        network = SkipGram(graph.connected, num_nodes=5, size=4, generator=seeded(1))
        trainer = SkipGramTrainer(network, graph, SMALL, seeded(2))
        for seed in (3, 4):
            trainer.step(*pairs(walks(graph, graph.connected, length=5, p=1.0, q=1.0, generator=seeded(seed)), window=2))
            for parameter in network.parameters() if clean else ():
                parameter.grad = None
        return [parameter.detach() for parameter in network.parameters()]

    for carried, cleaned in zip(after_two_steps(clean=False), after_two_steps(clean=True), strict=True):
        assert torch.equal(carried, cleaned)


def test_the_score_is_the_log_odds_that_the_skip_gram_is_trained_for() -> None:
    """Full batches of one edge list: c . o tends to log P(o | c) - log(share of o among negatives), where both are known."""
    weight_NN = np.kron(np.eye(2), [[0.0, 1.0], [1.0, 0.0]])
    graph = WalkGraph.of(sp.csr_array(weight_NN))
    settings = SMALL.model_copy(update={"window": 1, "walk_length": 2, "num_negatives": 4096, "learning_rate": 0.01})
    network = SkipGram(graph.connected, num_nodes=4, size=8, generator=seeded())
    trainer = SkipGramTrainer(network, graph, settings, seeded(1))
    for _ in range(600):
        trainer.epoch()
    center_ND, around_ND = network.vectors()
    # Each node meets its one neighbour always; every node is a quarter of the negatives: log(1 / (1/4)).
    assert (center_ND @ around_ND.T)[[0, 1, 2, 3], [1, 0, 3, 2]] == pytest.approx(np.log(4.0), abs=0.1)


def test_the_loss_falls() -> None:
    losses = [epoch.loss for epoch in fit(two_tastes()[0]).history]
    assert len(losses) == SMALL.epochs
    assert losses[-1] < losses[0] - 0.05


def test_another_seed_gives_another_model_and_the_same_seed_the_same() -> None:
    inputs = awkward_world()
    first, again, other = (fit(inputs, seed=seed).score(np.arange(12)) for seed in (1, 1, 2))
    assert first.tobytes() == again.tobytes()
    assert first.tobytes() != other.tobytes()


def test_permuting_users_permutes_the_graph() -> None:
    inputs = awkward_world()
    order = np.random.default_rng(0).permutation(12)
    nodes = np.concatenate([order, np.arange(12, 21)])
    plain, moved = (joined(world, edge_weight_power=0.5).toarray() for world in (inputs, relabelled(inputs, order)))
    np.testing.assert_allclose(moved, plain[np.ix_(nodes, nodes)])
    np.testing.assert_array_equal(plain, plain.T)


def test_dislikes_are_no_edges_and_who_has_none_scores_0() -> None:
    inputs = awkward_world()
    liked = inputs.positives_UI.toarray() > 0
    weight_NN = joined(inputs, edge_weight_power=0.1).toarray()
    np.testing.assert_array_equal(weight_NN[:12, 12:] > 0, liked)
    scores_UI = fit(inputs).score(np.arange(12))
    assert not scores_UI[~liked.any(axis=1)].any()
    assert not scores_UI[:, ~liked.any(axis=0)].any()
    assert liked.any()
    assert scores_UI[liked].all()


def test_walks_reach_a_new_item_over_its_interests() -> None:
    """Item 16 is nobody's yet; sharing an interest with taste 0 is all that is known of it."""
    inputs, _ = two_tastes()
    inputs = make_inputs(np.pad(inputs.positives_UI.toarray(), ((0, 0), (0, 1))))
    about = Edges(np.arange(17), np.arange(17) % 2, np.ones(17, dtype=np.float32))
    vocabularies = inputs.graph.vocabularies | {"interest": Vocabulary("interest", ["even", "odd"])}
    inputs = replace(inputs, graph=InterestGraph(vocabularies, inputs.graph.edges | {ABOUT: about}))
    scores_U = fit(inputs).score(np.arange(48))[:, 16]
    assert scores_U[0::2].min() > scores_U[1::2].max()


@pytest.mark.parametrize("setting", [{"p": 0.0}, {"q": 1000.0}, {"walk_length": 1}, {"window": 0}, {"walks": 3}])
def test_settings_without_meaning_are_refused(setting: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        Node2VecSettings(**setting)
