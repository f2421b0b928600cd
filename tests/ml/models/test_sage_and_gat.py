"""GraphSAGE and GAT in the middle of the interest GNN: contract, definitions, invariants, items that only have a text."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from ml.config.pipeline import ModelConfig
from ml.errors import ConfigError, ReleaseError
from ml.graph.build import ABOUT
from ml.graph.interest_graph import Edges, InterestGraph
from ml.ids import Vocabulary
from ml.models.gnn.fingerprints import fingerprint_of
from ml.models.gnn.fitting import Trainer
from ml.models.gnn.gat import GAT, AttentivePropagation
from ml.models.gnn.interest_gnn import InterestGNN
from ml.models.gnn.layers import LayeredPropagation
from ml.models.gnn.network import InterestNetwork
from ml.models.gnn.network_state import start_from
from ml.models.gnn.relations import relations_of
from ml.models.gnn.sage import GraphSAGE, SagePropagation
from ml.models.gnn.sampling import batches, likes_to_learn
from ml.models.inputs import ModelInputs
from tests.ml.models.recommender_contract import RecommenderContract
from tests.ml.models.worlds import awkward_world, make_inputs, relabelled, two_tastes

CPU = torch.device("cpu")
SMALL = ModelConfig(embedding_size=16, num_layers=2, epochs=15, batch_size=64, num_negatives=64, device="cpu")
BOTH = pytest.mark.parametrize("kind", [GraphSAGE, GAT], ids=["graph_sage", "gat"])
BOTH_PROPAGATIONS = pytest.mark.parametrize("kind", [SagePropagation, AttentivePropagation], ids=["graph_sage", "gat"])


def fit(kind: type[InterestGNN], inputs: ModelInputs, *, config: ModelConfig = SMALL, seed: int = 3) -> InterestGNN:
    return kind(config).fit(inputs, rng=np.random.default_rng(seed))


def with_newcomers(*, text: bool = True) -> ModelInputs:
    """Two tastes of 8 items and 24 users each, and two more items nobody has met: item 16 of taste 0, item 17 of taste 1."""
    inputs, _ = two_tastes()
    liked_UI = np.pad(inputs.positives_UI.toarray(), ((0, 0), (0, 2)))
    text_ID = np.concatenate([np.eye(2)[np.arange(18) % 2], 0.2 * np.eye(18)], axis=1)
    return make_inputs(liked_UI, text_ID=text * text_ID / np.linalg.norm(text_ID, axis=1, keepdims=True))


def with_interests(inputs: ModelInputs, *, shared: bool = False) -> ModelInputs:
    """Items are about their own taste; where `shared`, every third is about both."""
    item_E = np.concatenate([np.arange(len(inputs.items)), np.arange(0, len(inputs.items), 3) if shared else np.zeros(0, dtype=np.int64)])
    interest_E = np.where(np.arange(len(item_E)) < len(inputs.items), item_E % 2, 1 - item_E % 2)
    about = Edges(item_E, interest_E, np.ones(len(item_E), dtype=np.float32))
    vocabularies = inputs.graph.vocabularies | {"interest": Vocabulary("interest", ["even", "odd"])}
    return replace(inputs, graph=InterestGraph(vocabularies, inputs.graph.edges | {ABOUT: about}))


def built(kind: type[InterestGNN], inputs: ModelInputs, *, seed: int = 0) -> InterestNetwork:
    return InterestNetwork(inputs, config=SMALL, rng=np.random.default_rng(seed), device=CPU, propagation=kind.propagation)


def arrays_of(model: InterestGNN) -> dict[str, np.ndarray]:
    assert model.network_state is not None
    return {name.removeprefix("propagation."): array for name, array in model.network_state.arrays.items()}


class TestGraphSAGE(RecommenderContract):
    ignores_user_order = False
    folds_in_exactly = False

    def build(self) -> GraphSAGE:
        return GraphSAGE(SMALL)


class TestGAT(RecommenderContract):
    ignores_user_order = False
    folds_in_exactly = False

    def build(self) -> GAT:
        return GAT(SMALL)


def disturbed(kind: type[LayeredPropagation], inputs: ModelInputs, *, num_layers: int = 2) -> LayeredPropagation:
    """With parameters as training could leave them: nothing at identity or 0."""
    relations = relations_of(inputs, edge_weight_power=1.0, device=CPU)
    layer = kind(relations, num_layers=num_layers, size=4, side_weight=0.5)
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
    return layer


def start_of(inputs: ModelInputs) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        "user": torch.randn(len(inputs.users), 4, generator=generator),
        "item": torch.randn(len(inputs.items), 4, generator=generator),
    }


def by_loops(kind: type[LayeredPropagation], layer: LayeredPropagation, start: dict[str, torch.Tensor]) -> dict[str, np.ndarray]:
    """One layer as the papers write it, a node and a neighbour at a time; attention in heads of one coordinate (4 of size 4)."""
    only = layer.layers[0]
    found = {kind: (x @ only["own"][kind].weight.T).detach().numpy().copy() for kind, x in start.items()}
    for relation, convolution in zip(layer.relations, only["along"], strict=True):
        weight_TS = relation.adjacency_TS.to_dense().numpy()
        mapped = (start[relation.source] @ convolution.lin_l.weight.T).detach().numpy()
        for target, weight_S in enumerate(weight_TS):
            near = np.flatnonzero(weight_S)
            if not len(near):
                continue
            share_N4 = np.repeat((weight_S[near] / weight_S[near].sum())[:, None], 4, axis=1)
            if kind is AttentivePropagation:
                asking = (start[relation.target][target] @ convolution.lin_r.weight.T).detach().numpy()
                summed = mapped[near] + asking
                score_N4 = np.where(summed > 0, summed, 0.2 * summed) * convolution.att.detach().numpy().reshape(1, 4)
                share_N4 = weight_S[near][:, None] * np.exp(score_N4)
                share_N4 /= share_N4.sum(axis=0)
            found[relation.target][target] += (share_N4 * mapped[near]).sum(axis=0)
    return found


@BOTH_PROPAGATIONS
def test_a_layer_is_what_the_paper_says(kind: type[LayeredPropagation]) -> None:
    inputs = awkward_world()
    layer, start = disturbed(kind, inputs, num_layers=1), start_of(inputs)
    found, expected = layer(start), by_loops(kind, layer, start)
    for node_type in ("user", "item"):
        np.testing.assert_allclose(found[node_type].detach().numpy(), expected[node_type], rtol=1e-4, atol=1e-5)


def test_before_training_attention_is_the_mean_and_dislikes_are_below_0() -> None:
    inputs = awkward_world()
    relations, start = relations_of(inputs, edge_weight_power=1.0, device=CPU), start_of(inputs)
    sage, gat = (kind(relations, num_layers=1, size=4, side_weight=0.5) for kind in (SagePropagation, AttentivePropagation))
    torch.testing.assert_close(sage(start), gat(start))
    signs = {str(relation): conv.lin_l.weight[0, 0].item() for relation, conv in zip(relations, sage.layers[0]["along"], strict=True)}
    assert signs["user -interacted-> item"] == 1.0
    assert signs["item -rev_disliked-> user"] == -0.5
    assert sage.named_weights()["1/user -interacted-> item"] == pytest.approx(1.0)


@BOTH_PROPAGATIONS
def test_permuting_nodes_permutes_propagated_vectors(kind: type[LayeredPropagation]) -> None:
    inputs = awkward_world()
    order, start = np.random.default_rng(0).permutation(12), start_of(inputs)
    found = disturbed(kind, inputs)(start)
    moved = disturbed(kind, relabelled(inputs, order))({"user": start["user"][order], "item": start["item"]})
    torch.testing.assert_close(moved["user"], found["user"][order])
    torch.testing.assert_close(moved["item"], found["item"])


@BOTH_PROPAGATIONS
def test_hidden_items_neither_get_nor_give_through_behaviour(kind: type[LayeredPropagation]) -> None:
    inputs = awkward_world()
    layer, start, shown = disturbed(kind, inputs), start_of(inputs), torch.ones(9, 1)
    shown[[0, 3]] = 0.0
    hidden = layer(start, shown=shown)
    alone = layer.layers[1]["own"]["item"](kind.activation(layer.layers[0]["own"]["item"](start["item"][[0, 3]])))
    torch.testing.assert_close(hidden["item"][[0, 3]], alone)
    other = {"user": start["user"], "item": start["item"].clone()}
    other["item"][[0, 3]] += 10.0
    torch.testing.assert_close(layer(other, shown=shown)["user"], hidden["user"])
    assert not torch.allclose(layer(other)["user"], layer(start)["user"])


@BOTH_PROPAGATIONS
def test_gradients_are_those_of_finite_differences(kind: type[LayeredPropagation]) -> None:
    inputs = awkward_world()
    layer, start = disturbed(kind, inputs), start_of(inputs)
    weights = {node_type: torch.randn(x.shape, generator=torch.Generator().manual_seed(4)) for node_type, x in start.items()}

    def value() -> torch.Tensor:
        return sum((weights[node_type] * found).sum() for node_type, found in layer(start).items())

    value().backward()
    for parameter in layer.parameters():
        if parameter.grad is None or not parameter.grad.any():
            continue
        direction = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(5))
        slope = float((parameter.grad * direction).sum())
        with torch.no_grad():
            parameter.add_(1e-3 * direction)
            above = value()
            parameter.sub_(2e-3 * direction)
            below = value()
            parameter.add_(1e-3 * direction)
        assert float(above - below) / 2e-3 == pytest.approx(slope, rel=0.05, abs=0.1)


@BOTH
def test_a_node_without_edges_keeps_its_text_apart_and_one_without_anything_is_0(kind: type[InterestGNN]) -> None:
    """Item 9 has a text only, item 10 not even that; user 12 has never been here."""
    inputs = make_inputs(np.pad(awkward_world().positives_UI.toarray(), ((0, 1), (0, 2))), text_ID=np.eye(11)[:, :10])
    model = fit(kind, inputs)
    scores_UI = model.score(np.arange(13))
    assert np.isfinite(scores_UI).all()
    assert np.linalg.norm(model.item_vectors[9]) == pytest.approx(1.0, abs=1e-5), "nobody's item has a text"
    assert not model.item_vectors[10].any(), "no text, no edge"
    assert not model.user_vectors[12].any()


@BOTH
def test_twenty_likes_can_be_learned_by_heart(kind: type[InterestGNN]) -> None:
    """10 users with 2 likes each, no pattern: after training, their own likes rank first (nothing excluded)."""
    rng = np.random.default_rng(5)
    liked_UI = np.zeros((10, 12))
    for user in range(10):
        liked_UI[user, rng.choice(12, 2, replace=False)] = 1.0
    config = SMALL.model_copy(update={"epochs": 150, "hidden_item_share": 0.0, "popularity_correction": 0.0})
    scores_UI = fit(kind, make_inputs(liked_UI), config=config).score(np.arange(10))
    best_U2 = np.argsort(-scores_UI, axis=1)[:, :2]
    assert (np.take_along_axis(liked_UI, best_U2, axis=1) == 1.0).all()


@BOTH
def test_a_step_learns_from_its_own_batch_only(kind: type[InterestGNN]) -> None:
    """Each step starts from no gradient: two steps equal two steps with the gradient removed in between."""
    inputs, _ = two_tastes()

    def after_two_steps(*, clean: bool) -> list[torch.Tensor]:
        network = built(kind, inputs)
        trainer = Trainer(network, likes_to_learn(inputs, weight_power=0.3), SMALL, torch.Generator().manual_seed(0), CPU)
        for batch in batches(trainer.learned, batch_size=150, generator=torch.Generator().manual_seed(1)):
            trainer.step(batch)
            for parameter in network.parameters() if clean else ():
                parameter.grad = None
        return [parameter.detach() for parameter in network.parameters()]

    for carried, cleaned in zip(after_two_steps(clean=False), after_two_steps(clean=True), strict=True):
        assert torch.equal(carried, cleaned)


@BOTH
def test_training_moves_every_matrix_of_a_relation_and_the_loss_falls(kind: type[InterestGNN]) -> None:
    inputs = with_interests(awkward_world(), shared=True)
    model, fresh = fit(kind, inputs), built(kind, inputs)
    relations = fresh.propagation.relations
    moved = {
        name for name, fresh_one in fresh.propagation.named_parameters() if not np.array_equal(arrays_of(model)[name], fresh_one.detach())
    }
    for number, relation in enumerate(relations):
        # Who has one neighbour only cannot attend to one more than to another.
        can_attend = relation.adjacency_TS.crow_indices().diff().max() > 1
        parts = {part for part in type(fresh.propagation).parts if part == "lin_l.weight" or can_attend}
        # What reaches interests in the last layer is read by nobody.
        for layer in (0, 1) if relation.target != "interest" else (0,):
            assert {f"layers.{layer}.along.{number}.{part}" for part in parts} <= moved, relation
    losses = [epoch.loss for epoch in model.history]
    assert losses[-1] < losses[0] - 0.05
    assert set(model.relation_weights) == {f"{layer}/{relation}" for layer in (1, 2) for relation in relations}


@BOTH
def test_the_same_seed_gives_the_same_bits_whatever_torch_drew_before(kind: type[InterestGNN]) -> None:
    inputs, _ = two_tastes()
    first = fit(kind, inputs, seed=1)
    torch.manual_seed(99)
    expected = torch.rand(3, generator=torch.Generator().manual_seed(99))
    again, other = fit(kind, inputs, seed=1), fit(kind, inputs, seed=2)
    assert torch.equal(torch.rand(3), expected), "torch's own generator is left alone"
    assert first.item_vectors.tobytes() == again.item_vectors.tobytes()
    assert first.item_vectors.tobytes() != other.item_vectors.tobytes()


@BOTH
def test_a_new_item_is_understood_by_its_text(kind: type[InterestGNN]) -> None:
    model = fit(kind, with_newcomers())
    cosine_U2 = model.user_vectors @ model.item_vectors[[16, 17]].T
    taste_U = np.arange(48) % 2
    assert cosine_U2[np.arange(48), taste_U].min() > cosine_U2[np.arange(48), 1 - taste_U].max() + 0.3


@BOTH
def test_what_was_trained_places_an_item_that_was_not_there(kind: type[InterestGNN]) -> None:
    """The network of a day, over the graph of the next, untrained: items 16 and 17 have a text and nothing else."""
    later = with_newcomers()
    earlier = make_inputs(later.positives_UI.toarray()[:, :16], text_ID=later.text_ID[:16])
    state = fit(kind, earlier).network_state
    assert state is not None
    network = built(kind, later)
    start_from(network, state, vocabularies=later.graph.vocabularies)
    vectors = {node_type: found.numpy() for node_type, found in network.unit_vectors().items()}
    cosine_U2 = vectors["user"] @ vectors["item"][[16, 17]].T
    taste_U = np.arange(48) % 2
    assert cosine_U2[np.arange(48), taste_U].min() > cosine_U2[np.arange(48), 1 - taste_U].max() + 0.2


@BOTH
def test_a_later_fit_starts_where_an_earlier_one_ended(kind: type[InterestGNN]) -> None:
    earlier = two_tastes()[0]
    later, state = with_interests(earlier), fit(kind, earlier).network_state
    assert state is not None
    same, network = built(kind, earlier, seed=11), built(kind, later)
    start_from(same, state, vocabularies=earlier.graph.vocabularies)
    assert same.unit_vectors()["item"].numpy().tobytes() == fit(kind, earlier).item_vectors.tobytes()
    start_from(network, state, vocabularies=later.graph.vocabularies)
    old = {name: number for number, name in enumerate(state.relations)}
    for number, relation in enumerate(map(str, network.propagation.relations)):
        found = network.propagation.layers[1]["along"][number].lin_l.weight.detach().numpy()
        fresh = np.eye(16, dtype=np.float32)
        kept = state.arrays[f"propagation.layers.1.along.{old[relation]}.lin_l.weight"] if relation in old else fresh
        np.testing.assert_array_equal(found, kept)


@pytest.mark.parametrize(("ours", "theirs"), [(GraphSAGE, GAT), (GAT, InterestGNN), (InterestGNN, GraphSAGE)])
def test_a_start_of_another_kind_says_so(ours: type[InterestGNN], theirs: type[InterestGNN]) -> None:
    inputs = two_tastes()[0]
    state = fit(theirs, inputs, config=SMALL.model_copy(update={"epochs": 1})).network_state
    with pytest.raises(ConfigError, match="fit from nothing"):
        ours(SMALL).fit(inputs, rng=np.random.default_rng(0), start=state)


@BOTH
def test_a_model_comes_back_as_its_own_class_only(kind: type[InterestGNN], tmp_path: Path) -> None:
    model = fit(kind, two_tastes()[0], config=SMALL.model_copy(update={"epochs": 1}))
    model.save(tmp_path)
    again = kind.load(tmp_path)
    assert again.relation_weights == model.relation_weights
    np.testing.assert_array_equal(again.user_vectors, model.user_vectors)
    with pytest.raises(ReleaseError, match=f"holds the model {kind.name}"):
        InterestGNN.load(tmp_path)


def test_checkpoints_of_one_model_are_of_no_use_to_another() -> None:
    inputs = two_tastes()[0]
    prints = {
        fingerprint_of(inputs, config=SMALL, rng=np.random.default_rng(0), model=name) for name in ("interest_gnn", "graph_sage", "gat")
    }
    assert len(prints) == 3
