"""The interest GNN keeps the recommender contract, learns, stays reproducible, and understands items nobody has met."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from ml.config.pipeline import ModelConfig
from ml.errors import ConfigError
from ml.graph.build import ABOUT, HAS_INTEREST
from ml.graph.interest_graph import Edges, EdgeType, InterestGraph
from ml.ids import Vocabulary
from ml.models.gnn.fitting import Trainer
from ml.models.gnn.interest_gnn import InterestGNN
from ml.models.gnn.network import InterestNetwork
from ml.models.gnn.sampling import batches, likes_to_learn
from ml.models.gnn.vector_recommender import log_popularity
from ml.models.inputs import ModelInputs
from ml.models.popularity import Popularity
from tests.ml.models.recommender_contract import RecommenderContract, everyone, rank
from tests.ml.models.worlds import awkward_world, make_inputs, two_tastes

SMALL = ModelConfig(embedding_size=16, num_layers=2, epochs=15, batch_size=64, num_negatives=64, device="cpu")


def fit(inputs: ModelInputs, *, config: ModelConfig = SMALL, seed: int = 3, validation_UI: sp.csr_array | None = None) -> InterestGNN:
    return InterestGNN(config).fit(inputs, rng=np.random.default_rng(seed), validation_UI=validation_UI)


def ndcg_of(model: InterestGNN | Popularity, inputs: ModelInputs, withheld_U: np.ndarray) -> float:
    items_UK = rank(model, inputs, k=10)
    hits_UK = items_UK == withheld_U[:, None]
    return float((hits_UK / np.log2(np.arange(10) + 2.0)).sum(axis=1).mean())


def edges(pairs: list[tuple[int, int]]) -> Edges:
    source, target = np.array(pairs, dtype=np.int64).T
    return Edges(source, target, np.ones(len(pairs), dtype=np.float32))


def with_interests(
    inputs: ModelInputs, *, about: list[tuple[int, int]], has_interest: list[tuple[int, int]], names: list[str]
) -> ModelInputs:
    vocabularies = inputs.graph.vocabularies | {"interest": Vocabulary("interest", names)}
    added = {edge_type: edges(pairs) for edge_type, pairs in ((ABOUT, about), (HAS_INTEREST, has_interest)) if pairs}
    return replace(inputs, graph=InterestGraph(vocabularies, inputs.graph.edges | added))


def tastes_with_newcomers() -> ModelInputs:
    """Two tastes of 8 items and 24 users each, and two more items nobody has met: item 16 of taste 0, item 17 of taste 1."""
    inputs, _ = two_tastes()
    liked_UI = np.pad(inputs.positives_UI.toarray(), ((0, 0), (0, 2)))
    taste_I = np.arange(18) % 2
    text_ID = np.concatenate([np.eye(2)[taste_I], 0.2 * np.eye(18)], axis=1)
    return make_inputs(liked_UI, text_ID=text_ID / np.linalg.norm(text_ID, axis=1, keepdims=True))


class TestInterestGNN(RecommenderContract):
    ignores_user_order = False
    folds_in_exactly = False

    def build(self) -> InterestGNN:
        return InterestGNN(SMALL)


def test_twenty_likes_can_be_learned_by_heart() -> None:
    """10 users with 2 likes each, no pattern: after training, their own likes rank first (nothing excluded)."""
    rng = np.random.default_rng(5)
    liked_UI = np.zeros((10, 12))
    for user in range(10):
        liked_UI[user, rng.choice(12, 2, replace=False)] = 1.0
    config = SMALL.model_copy(update={"epochs": 150, "hidden_item_share": 0.0, "popularity_correction": 0.0})
    scores_UI = fit(make_inputs(liked_UI), config=config).score(np.arange(10))
    best_U2 = np.argsort(-scores_UI, axis=1)[:, :2]
    assert (np.take_along_axis(liked_UI, best_U2, axis=1) == 1.0).mean() == 1.0


def test_a_step_learns_from_its_own_batch_only() -> None:
    """Each step starts from no gradient: two steps equal two steps with the gradient removed in between."""
    inputs, _ = two_tastes()
    device = torch.device("cpu")

    def after_two_steps(*, clean: bool) -> list[torch.Tensor]:
        network = InterestNetwork(inputs, config=SMALL, rng=np.random.default_rng(0), device=device)
        trainer = Trainer(network, likes_to_learn(inputs, weight_power=0.3), SMALL, torch.Generator().manual_seed(0), device)
        for batch in batches(trainer.learned, batch_size=150, generator=torch.Generator().manual_seed(1)):
            trainer.step(batch)
            for parameter in network.parameters() if clean else ():
                parameter.grad = None
        return [parameter.detach() for parameter in network.parameters()]

    for carried, cleaned in zip(after_two_steps(clean=False), after_two_steps(clean=True), strict=True):
        assert torch.equal(carried, cleaned)


def test_the_loss_falls() -> None:
    losses = [epoch.loss for epoch in fit(two_tastes()[0], config=SMALL.model_copy(update={"epochs": 10})).history]
    assert len(losses) == 10
    assert losses[-1] < losses[0] - 0.05
    assert losses[-1] < np.mean(losses[:3])


def test_another_seed_gives_another_model_and_the_same_seed_the_same() -> None:
    inputs, _ = two_tastes()
    first, again, other = fit(inputs, seed=1), fit(inputs, seed=1), fit(inputs, seed=2)
    assert first.user_vectors.tobytes() == again.user_vectors.tobytes()
    assert first.item_vectors.tobytes() == again.item_vectors.tobytes()
    assert first.history == again.history
    assert first.user_vectors.tobytes() != other.user_vectors.tobytes()


def test_tastes_are_told_apart_where_popularity_cannot() -> None:
    inputs, withheld_U = two_tastes()
    ours = ndcg_of(fit(inputs), inputs, withheld_U)
    baseline = ndcg_of(Popularity().fit(inputs, rng=np.random.default_rng(0)), inputs, withheld_U)
    assert ours == 1.0
    assert baseline < 0.5


def test_scores_are_cosines_over_temperature_plus_corrected_log_popularity() -> None:
    inputs = awkward_world()
    model = fit(inputs, config=SMALL.model_copy(update={"popularity_correction": 0.5}))
    cosine_UI = model.user_vectors @ model.item_vectors.T
    np.testing.assert_allclose(
        model.score(everyone(inputs)), cosine_UI / SMALL.temperature + 0.5 * log_popularity(inputs), rtol=1e-5, atol=1e-5
    )


def test_vectors_have_length_one_or_zero() -> None:
    inputs = awkward_world()
    model = fit(inputs)
    lengths = np.concatenate([np.linalg.norm(model.user_vectors, axis=1), np.linalg.norm(model.item_vectors, axis=1)])
    assert np.all((np.abs(lengths - 1) < 1e-5) | (lengths == 0))
    silent = np.flatnonzero(np.diff(inputs.positives_UI.indptr) == 0)
    assert len(silent)


def test_popularity_counts_in_likes_whatever_their_age() -> None:
    liked_UI = np.array([[1.0, 1, 0], [1.0, 0, 0], [1.0, 0, 0]])
    expected = np.log1p([3.0, 1.0, 0.0])
    np.testing.assert_allclose(log_popularity(make_inputs(liked_UI)), expected, rtol=1e-6)
    np.testing.assert_allclose(log_popularity(make_inputs(liked_UI * 1e-20)), expected, rtol=1e-6)


def test_a_new_item_is_understood_by_its_text() -> None:
    """Nobody has met items 16 and 17; each must please the taste that its text speaks of."""
    inputs = tastes_with_newcomers()
    model = fit(inputs)
    cosine_U2 = model.user_vectors @ model.item_vectors[[16, 17]].T
    taste_U = np.arange(48) % 2
    own, other = cosine_U2[np.arange(48), taste_U], cosine_U2[np.arange(48), 1 - taste_U]
    assert own.min() > other.max() + 0.5


def test_a_new_item_without_text_is_understood_by_its_interests() -> None:
    inputs = tastes_with_newcomers()
    inputs = replace(inputs, text_ID=np.zeros_like(inputs.text_ID))
    about = [(item, item % 2) for item in range(18)]
    inputs = with_interests(inputs, about=about, has_interest=[], names=["even", "odd"])
    model = fit(inputs)
    cosine_U2 = model.user_vectors @ model.item_vectors[[16, 17]].T
    taste_U = np.arange(48) % 2
    assert (cosine_U2[np.arange(48), taste_U] > cosine_U2[np.arange(48), 1 - taste_U] + 0.3).all()


def test_a_user_without_likes_has_the_vector_of_their_interests() -> None:
    """Users 48 and 49 liked nothing; 48 is interested in taste 0, 49 in nothing at all."""
    inputs, _ = two_tastes()
    liked_UI = np.pad(inputs.positives_UI.toarray(), ((0, 2), (0, 0)))
    disliked_UI = np.zeros_like(liked_UI)
    inputs = make_inputs(liked_UI, disliked_UI=disliked_UI, text_ID=inputs.text_ID)
    about = [(item, item % 2) for item in range(16)]
    has_interest = [(user, user % 2) for user in range(48)] + [(48, 0)]
    model = fit(with_interests(inputs, about=about, has_interest=has_interest, names=["even", "odd"]))
    cosine_I = model.item_vectors @ model.user_vectors[48]
    assert cosine_I[0::2].min() > cosine_I[1::2].max() + 0.3
    np.testing.assert_array_equal(model.user_vectors[49], 0.0)
    assert np.isfinite(model.score(np.array([49]))).all()


def test_a_dislike_pushes_alike_items_away() -> None:
    """The user's only positive evidence is the same; disliking an item of taste 1 must lower that taste."""
    inputs, _ = two_tastes()
    liked_UI = inputs.positives_UI.toarray()
    liked_UI[0] = 0.0
    liked_UI[0, 0] = 1.0
    disliked_UI = np.zeros_like(liked_UI)
    disliked_UI[0, [1, 3, 5]] = 1.0
    config = SMALL.model_copy(update={"epochs": 1})
    neutral, averse = (
        fit(make_inputs(liked_UI, disliked_UI=told, text_ID=inputs.text_ID), config=config) for told in (0 * disliked_UI, disliked_UI)
    )
    taste_one = [7, 9, 11, 13, 15]
    before, after = (float((model.item_vectors[taste_one] @ model.user_vectors[0]).mean()) for model in (neutral, averse))
    assert after < before


def test_renaming_interests_changes_nothing() -> None:
    inputs, _ = two_tastes()
    about = [(item, item % 2) for item in range(16)]
    has_interest = [(user, user % 2) for user in range(48)]
    flipped_about, flipped_has = ([(node, 1 - interest) for node, interest in pairs] for pairs in (about, has_interest))
    first = fit(with_interests(inputs, about=about, has_interest=has_interest, names=["a", "b"]))
    second = fit(with_interests(inputs, about=flipped_about, has_interest=flipped_has, names=["a", "b"]))
    np.testing.assert_allclose(first.score(np.arange(48)), second.score(np.arange(48)), rtol=1e-4, atol=1e-4)


def test_it_stops_early_and_goes_back_to_the_best_epoch() -> None:
    inputs, withheld_U = two_tastes()
    validation_UI = sp.csr_array((np.ones(48), (np.arange(48), withheld_U)), shape=(48, 16))
    model = fit(inputs, config=SMALL.model_copy(update={"epochs": 60, "patience": 3}), validation_UI=validation_UI)
    figures = [epoch.validation for epoch in model.history]
    best = int(np.argmax(figures)) + 1
    assert len(figures) == best + 3 < 60
    assert model.chosen_config.epochs == best
    assert ndcg_of(model, inputs, withheld_U) == pytest.approx(figures[best - 1])
    refitted = fit(inputs, config=model.chosen_config)
    assert len(refitted.history) == best
    np.testing.assert_array_equal(refitted.item_vectors, model.item_vectors)


@pytest.mark.parametrize("come_to_like", ["hits", "rarities"])
def test_the_popularity_correction_is_chosen_on_the_validation_slice(come_to_like: str) -> None:
    """Each taste has hits and rarities; what its users like after the cut says how much popularity should count."""
    rng = np.random.default_rng(1)
    taste_U, taste_I, is_hit_I = np.arange(80) % 2, np.arange(40) % 2, np.arange(40) < 20
    chance_UI = np.where(taste_U[:, None] == taste_I, np.where(is_hit_I, 0.7, 0.15), 0.0)
    liked_UI = (rng.random((80, 40)) < chance_UI).astype(float)
    wanted_I = is_hit_I if come_to_like == "hits" else ~is_hit_I
    validation_UI = sp.csr_array((taste_U[:, None] == taste_I) & wanted_I & (liked_UI == 0), dtype=np.float32)
    inputs = make_inputs(liked_UI)
    chosen = fit(inputs, config=SMALL.model_copy(update={"epochs": 3}), validation_UI=validation_UI).chosen_config.popularity_correction
    assert chosen > 1.0 if come_to_like == "hits" else chosen < 0.5


def test_an_empty_validation_slice_changes_nothing() -> None:
    inputs, _ = two_tastes()
    nothing = sp.csr_array((48, 16), dtype=np.float32)
    model = fit(inputs, validation_UI=nothing)
    assert model.chosen_config == SMALL
    np.testing.assert_array_equal(model.item_vectors, fit(inputs).item_vectors)


def test_a_validation_slice_of_other_vocabularies_is_refused() -> None:
    with pytest.raises(ValueError, match="vocabular"):
        fit(two_tastes()[0], validation_UI=sp.csr_array((3, 3), dtype=np.float32))


def test_progress_counts_epochs() -> None:
    seen: list[tuple[int, int]] = []
    InterestGNN(SMALL).fit(two_tastes()[0], rng=np.random.default_rng(0), progress=lambda done, total: seen.append((done, total)))
    assert seen == [(epoch, 15) for epoch in range(1, 16)]


def test_loading_brings_back_choices_and_relation_weights(tmp_path: Path) -> None:
    inputs, _ = two_tastes()
    inputs = with_interests(inputs, about=[(item, item % 2) for item in range(16)], has_interest=[], names=["even", "odd"])
    model = fit(inputs)
    assert set(model.relation_weights) == {
        f"{layer}/{relation}"
        for layer in (1, 2)
        for relation in ("user -interacted-> item", "item -rev_interacted-> user", "item -about-> interest", "interest -rev_about-> item")
    }
    assert all(weight > 0 for weight in model.relation_weights.values())
    model.save(tmp_path)
    again = InterestGNN.load(tmp_path)
    assert again.relation_weights == model.relation_weights
    assert again.chosen_config == model.chosen_config
    np.testing.assert_array_equal(again.user_vectors, model.user_vectors)


def test_knowledge_between_items_and_entities_carries_messages() -> None:
    """Item 16 is new and has no text; an entity it shares with taste 0 is all that is known of it."""
    inputs = tastes_with_newcomers()
    text_ID = np.zeros_like(inputs.text_ID)
    made_by = edges([(item, item % 2) for item in range(18)])
    vocabularies = inputs.graph.vocabularies | {"entity": Vocabulary("entity", ["maker 0", "maker 1"])}
    graph = InterestGraph(vocabularies, inputs.graph.edges | {EdgeType("item", "made_by", "entity"): made_by})
    model = fit(replace(inputs, text_ID=text_ID, graph=graph))
    cosine_U = model.user_vectors @ model.item_vectors[16]
    assert cosine_U[0::2].min() > cosine_U[1::2].max()


def test_cuda_that_is_not_there_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(ConfigError, match="cuda"):
        fit(two_tastes()[0], config=SMALL.model_copy(update={"device": "cuda"}))
