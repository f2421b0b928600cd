"""The hybrid keeps the recommender contract; its pool, its ranker and its scale do what their sources say."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp

from ml.config.pipeline import HybridConfig, ModelConfig
from ml.errors import ConfigError
from ml.models.hybrid.affinities import NAMES as AFFINITIES
from ml.models.hybrid.affinities import Affinities
from ml.models.hybrid.answers import candidate_pairs, log_lift
from ml.models.hybrid.choices import Choices
from ml.models.hybrid.choosing import LEAST_SLOPE, Slice, _candidates, _opinions, _pairs, _readings, choose_all
from ml.models.hybrid.components import COMPONENTS
from ml.models.hybrid.hybrid import POOL_NAME, Hybrid
from ml.models.hybrid.padding import ndcg, padded
from ml.models.hybrid.pool import Opinion, pool_weights, pooled
from ml.models.hybrid.ranker import Pairs, grow, trees_worth_growing
from ml.models.hybrid.readings import Reading, unit_of
from ml.models.hybrid.tuning import Setting, Shown, best_setting
from ml.models.inputs import ModelInputs
from ml.models.validation import Validation
from tests.ml.models.recommender_contract import RecommenderContract, everyone
from tests.ml.models.worlds import awkward_world, make_inputs, two_tastes

GNN = ModelConfig(embedding_size=8, epochs=2, batch_size=64, num_negatives=16, device="cpu")
ALL = HybridConfig(num_candidates=4)
CLOSED = ("item_knn", "ease", "spectral_filter", "transitions", "text_only", "community_popularity", "popularity")


class TestHybrid(RecommenderContract):
    ignores_user_order = False
    folds_in_exactly = False

    def build(self) -> Hybrid:
        return Hybrid.of(ALL, model=GNN)


class TestHybridOfClosedForms(RecommenderContract):
    folds_in_exactly = False  # who is folded in has met nothing but what they like

    def build(self) -> Hybrid:
        return Hybrid.of(HybridConfig(models=CLOSED, num_candidates=4), model=GNN)


class TestHybridWithRanker(RecommenderContract):
    """Trees that were grown on chance: whatever they say, the contract holds."""

    is_personal = True
    folds_in_exactly = False
    ignores_user_order = True

    def build(self) -> Hybrid:
        config = HybridConfig(models=CLOSED, num_candidates=4, min_leaf_pairs=1)
        model = Hybrid.of(config, model=GNN)
        names = ("pool", *CLOSED, *AFFINITIES)
        model.choices = replace(model.choices, ranker=grow(noise(len(names)), names=names, num_trees=3, config=config, seed=1))
        return model

    def test_two_tastes_are_told_apart(self) -> None:
        pytest.skip("trees grown on chance know no taste")

    def test_a_new_user_of_a_taste_is_told_apart(self) -> None:
        pytest.skip("trees grown on chance know no taste")


def noise(num_features: int, *, num_users: int = 30, num_candidates: int = 12, seed: int = 0) -> Pairs:
    """Candidates whose features say nothing of what is liked."""
    rng = np.random.default_rng(seed)
    user_P = np.repeat(np.arange(num_users), num_candidates)
    is_liked_P = np.arange(len(user_P)) % num_candidates == rng.integers(num_candidates, size=num_users)[user_P]
    features_PF = rng.normal(size=(len(user_P), num_features)).astype(np.float32)
    return Pairs(user_P, is_liked_P, rng.normal(size=len(user_P)).astype(np.float32), features_PF, np.ones(num_users, dtype=np.int64))


def test_relative_readings_sum_to_one_over_what_was_not_met() -> None:
    scores_BI = np.array([[1.0, 3.0, 0.0, -2.0], [0.0, 0.0, -1.0, 0.0]], dtype=np.float32)
    met_BI = sp.csr_array(np.array([[1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]]))
    weights_BI = Reading("weight").evidence(scores_BI, met_BI=met_BI)
    np.testing.assert_allclose(weights_BI, [[0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
    logits_BI = Reading("logit", 2.0).evidence(scores_BI, met_BI=met_BI)
    np.testing.assert_allclose(logits_BI[0, 1:], np.exp([6.0, 0.0, -4.0]) / np.exp([6.0, 0.0, -4.0]).sum(), rtol=1e-5)
    np.testing.assert_allclose(logits_BI.sum(axis=1), 1.0, rtol=1e-5)


def test_read_as_they_are_a_model_that_knows_more_of_a_user_says_more() -> None:
    scores_BI = np.array([[4.0, 2.0, 0.0], [0.4, 0.2, 0.0]], dtype=np.float32)
    reading = Reading("weight", is_relative=False, unit=unit_of(scores_BI))
    np.testing.assert_allclose(unit_of(scores_BI), 2.2, rtol=1e-6)
    np.testing.assert_allclose(reading.evidence(scores_BI, met_BI=sp.csr_array((2, 3))), scores_BI / 2.2, rtol=1e-6)
    assert unit_of(np.zeros((3, 2), dtype=np.float32)) == unit_of(np.zeros((0, 2), dtype=np.float32)) == 1.0


def test_what_rounding_leaves_of_nothing_is_no_opinion() -> None:
    scores_BI = np.zeros((2, 10_000), dtype=np.float32)
    scores_BI[:, 0], scores_BI[0, 1:], scores_BI[1, 1] = 1.0, 2e-8, 2e-3
    met_BI = sp.csr_array(scores_BI == 1.0)
    for sharpness in (1.0, 1.5, 2.0):
        found_BI = Reading("weight", sharpness).evidence(scores_BI, met_BI=met_BI)
        assert not found_BI[0].any()
        np.testing.assert_allclose(found_BI[1, :2], [0.0, 1.0], rtol=1e-5)


def test_huge_and_tiny_scores_stay_finite() -> None:
    scores_BI = np.array([[1e30, 1e-30, 0.0], [1e-38, 1e-39, -1e30]], dtype=np.float32)
    for scale in ("weight", "logit"):
        found_BI = Reading(scale, 2.0).evidence(scores_BI, met_BI=sp.csr_array((2, 3)))
        np.testing.assert_allclose(found_BI.sum(axis=1), 1.0, rtol=1e-5)


def test_the_model_that_foretells_likes_counts_and_the_one_that_does_not_does_not() -> None:
    right_E, wrong_E = np.full(200, 0.5), np.full(200, 1e-6)
    weight_K = pool_weights(np.stack([wrong_E, right_E], axis=1), importance_E=np.ones(200), num_items=1000)
    assert weight_K[1] > 0.99
    np.testing.assert_allclose(weight_K.sum(), 1.0)


def test_weights_are_where_the_likelihood_is_greatest() -> None:
    rng = np.random.default_rng(4)
    likelihood_EK = rng.gamma(0.3, 0.05, size=(500, 2))
    weight = pool_weights(likelihood_EK, importance_E=np.ones(500), num_items=100)[0]
    grid = np.linspace(0.0, 1.0, 2001)
    mixed = 0.99 * (likelihood_EK[:, :1] * grid + likelihood_EK[:, 1:] * (1 - grid)) + 0.01 / 100
    assert abs(weight - grid[np.log(mixed).sum(axis=0).argmax()]) < 0.02


def test_the_pool_is_the_weighted_mean() -> None:
    scores = {"one": np.array([[1.0, 1.0, 2.0]], dtype=np.float32), "two": np.array([[0.0, 4.0, 0.0]], dtype=np.float32)}
    opinions = {"one": Opinion(Reading("weight"), 0.75), "two": Opinion(Reading("weight"), 0.25)}
    np.testing.assert_allclose(pooled(scores, opinions=opinions, met_BI=sp.csr_array((1, 3))), [[0.1875, 0.4375, 0.375]])


def test_candidates_are_the_best_unmet_ones() -> None:
    lift_BI = np.array([[3.0, 2.0, 1.0, 0.0], [0.0, 1.0, 2.0, 3.0]], dtype=np.float32)
    row_P, item_P = candidate_pairs(lift_BI, met_BI=sp.csr_array(np.array([[1.0, 0, 0, 0], [1.0, 1.0, 1.0, 0]])), num_candidates=2)
    assert list(zip(row_P.tolist(), item_P.tolist(), strict=True)) == [(0, 1), (0, 2), (1, 3)]


def test_lift_is_nought_by_chance_and_bounded_below() -> None:
    lift_I = log_lift(np.array([0.25, 1.0, 0.0], dtype=np.float32), num_items=4)
    np.testing.assert_allclose(lift_I, np.log([1.0, 0.99 * 4 + 0.01, 0.01]), rtol=1e-5)


def test_padding_puts_each_users_values_at_the_front() -> None:
    user_P = np.array([0, 0, 2, 2, 2])
    found_VN = padded(np.array([1.0, 2.0, 3.0, 4.0, 5.0]), user_P, num_users=4, fill=-np.inf)
    nothing = -np.inf
    np.testing.assert_array_equal(found_VN, [[1, 2, nothing], [nothing] * 3, [3, 4, 5], [nothing] * 3])
    assert padded(np.zeros((0, 2, 3)), np.zeros(0, dtype=np.int64), num_users=2, fill=0.0).shape == (2, 0, 2, 3)


@pytest.mark.parametrize("k", [1, 3, 30])
def test_ndcg_of_candidates_is_out_of_all_likes_and_the_same_for_pairs_and_padded(k) -> None:
    rng = np.random.default_rng(5)
    user_P = np.sort(rng.integers(9, size=60))
    is_liked_P, margin_P = rng.random(60) < 0.3, rng.permutation(60).astype(np.float32)
    num_likes_V = np.bincount(user_P, weights=is_liked_P, minlength=10).astype(np.int64) + rng.integers(1, 4, size=10)
    naive_V = []
    for user, num_likes in enumerate(num_likes_V):
        liked = is_liked_P[user_P == user][np.argsort(-margin_P[user_P == user])][:k]
        gain = sum(1 / np.log2(rank + 2) for rank in np.flatnonzero(liked))
        naive_V.append(gain / sum(1 / np.log2(rank + 2) for rank in range(min(num_likes, k))))
    assert naive_V[9] == 0.0
    pairs = Pairs(user_P, is_liked_P, margin_P, np.zeros((60, 1), dtype=np.float32), num_likes_V)
    np.testing.assert_allclose(pairs.ndcg(margin_P, k=k), naive_V)
    margin_VN, is_liked_VN = (padded(values_P, user_P, num_users=10, fill=0) for values_P in (margin_P + 1, is_liked_P))
    np.testing.assert_allclose(ndcg(margin_VN, is_liked_VN=is_liked_VN, num_likes_V=num_likes_V, k=k), naive_V)


def test_ascent_finds_the_model_that_orders_and_stays_where_there_is_nothing_to_gain() -> None:
    rng = np.random.default_rng(2)
    is_liked_VN = np.eye(40, 10, dtype=bool)[rng.permutation(40)]
    good_VN, bad_VN = is_liked_VN + 0.01 * rng.random((40, 10)), rng.random((40, 10))
    shown = Shown(np.stack([bad_VN, good_VN], axis=2)[..., None].astype(np.float32), is_liked_VN, is_liked_VN.sum(axis=1))
    start = Setting((0.95, 0.05), (0, 0))
    reached, held_out_V = best_setting(shown, start, k=5)
    assert shown.ndcg(shown.pooled(reached), k=5).mean() > shown.ndcg(shown.pooled(start), k=5).mean() + 0.1
    assert held_out_V.mean() > shown.ndcg(shown.pooled(start), k=5).mean() + 0.1
    nothing = replace(shown, is_liked_VN=np.zeros_like(is_liked_VN))
    assert best_setting(nothing, start, others=[Setting((0.5, 0.5), (0, 0))], k=5)[0] == start


def test_weights_that_suit_the_users_they_were_climbed_on_alone_are_seldom_taken() -> None:
    taken, leads = 0, []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        world = worth_nothing(rng, num_users=40)
        start = Setting((0.94, *[0.01] * 6), (0,) * 7)
        reached, _ = best_setting(world, start, k=5)
        fresh = worth_nothing(rng, num_users=2000)
        taken += reached != start
        leads.append(fresh.ndcg(fresh.pooled(reached), k=5).mean() - fresh.ndcg(fresh.pooled(start), k=5).mean())
    assert taken <= 4
    assert np.mean(leads) > -0.01


def worth_nothing(rng: np.random.Generator, *, num_users: int) -> Shown:
    """One model that knows something and six of noise."""
    is_liked_VN = np.arange(20) == rng.integers(20, size=num_users)[:, None]
    good_VN = is_liked_VN * rng.random((num_users, 1)) + rng.random((num_users, 20))
    evidence_VNK = np.concatenate([good_VN[..., None], rng.random((num_users, 20, 6))], axis=2)
    return Shown(evidence_VNK[..., None].astype(np.float32), is_liked_VN, np.ones(num_users, dtype=np.int64))


def test_choices_about_other_models_are_refused() -> None:
    with pytest.raises(ConfigError, match="choose anew"):
        Hybrid.of(HybridConfig(models=("item_knn", "ease")), model=GNN, choices=Choices({"item_knn": Opinion(Reading("weight"), 1.0)}))


def test_who_nothing_is_said_of_has_no_candidates_for_a_ranker_to_order() -> None:
    lift_BI = log_lift(np.array([[0.0, 0.0, 0.0], [0.0, 0.6, 0.4]], dtype=np.float32), num_items=3)
    row_P, item_P = candidate_pairs(lift_BI, met_BI=sp.csr_array((2, 3)), num_candidates=3)
    assert list(zip(row_P.tolist(), item_P.tolist(), strict=True)) == [(1, 1), (1, 2)]


def test_evidence_is_measured_anew_at_every_fit() -> None:
    few = make_inputs(np.kron(np.eye(2), np.ones((3, 4))))
    many = make_inputs(np.kron(np.eye(2), np.ones((30, 4))))
    reading = Reading("weight", is_relative=False)
    choices = Choices({"item_knn": Opinion(reading, 0.5), "popularity": Opinion(reading, 0.5)})
    units = [
        {
            name: opinion.reading.unit
            for name, opinion in Hybrid.of(HybridConfig(models=("item_knn", "popularity")), model=GNN, choices=choices)
            .fit(inputs, rng=np.random.default_rng(1))
            .choices.opinions.items()
        }
        for inputs in (few, many)
    ]
    assert units[1]["popularity"] == 10 * units[0]["popularity"]
    assert units[1]["item_knn"] < 10 * units[0]["item_knn"]


def test_no_tree_is_grown_on_chance() -> None:
    config = HybridConfig(max_trees=30, min_leaf_pairs=5)
    num_trees, _, lead_V = trees_worth_growing(noise(6), config=config, seed=3)
    assert num_trees == 0 or lead_V.mean() > lead_V.std(ddof=1) / np.sqrt(len(lead_V))
    many = [trees_worth_growing(noise(6, seed=seed), config=config, seed=3)[0] for seed in range(8)]
    assert np.mean(np.array(many) > 0) <= 0.5


@pytest.mark.parametrize(("num_users", "num_candidates"), [(2, 1), (3, 1), (4, 1), (2, 2)])
def test_of_a_handful_of_candidates_no_tree_is_learned_and_nothing_fails(num_users: int, num_candidates: int) -> None:
    pairs = noise(3, num_users=num_users, num_candidates=num_candidates)
    num_trees, ndcg_V, _ = trees_worth_growing(pairs, config=HybridConfig(min_leaf_pairs=1), seed=3)
    assert num_trees == 0
    np.testing.assert_array_equal(ndcg_V, pairs.ndcg(pairs.lift_P, k=10))


def test_trees_learn_what_the_pool_does_not_say() -> None:
    pairs = noise(3, num_users=120)
    pairs.features_PF[:, 1] = pairs.is_liked_P + 0.1 * pairs.features_PF[:, 1]
    config = HybridConfig(max_trees=150, min_leaf_pairs=5)
    num_trees, ndcg_V, _ = trees_worth_growing(pairs, config=config, seed=3)
    assert num_trees > 0
    assert ndcg_V.mean() > 0.95
    ranker = grow(pairs, names=("a", "b", "c"), num_trees=num_trees, config=config, seed=3)
    assert next(iter(ranker.importance())) == "b"
    assert pairs.ndcg(pairs.lift_P + ranker.correction(pairs.features_PF), k=10).mean() > 0.95


def test_a_ranker_that_is_not_wanted_is_no_stage_and_costs_nothing(monkeypatch) -> None:
    monkeypatch.setattr(Affinities, "of", lambda _: pytest.fail("what only a ranker reads was worked out"))
    inputs, new_UI = tastes_and_new_likes()
    model = Hybrid.of(HybridConfig(models=CLOSED, max_trees=0), model=GNN).fit(inputs, rng=np.random.default_rng(1), validation_UI=new_UI)
    assert [stage.name for stage in model.choices.stages] == [*CLOSED, "pool"]


def test_a_slice_is_scored_for_the_start_the_candidates_and_the_scale_and_no_more() -> None:
    inputs, new_UI = tastes_and_new_likes()
    models = {name: COMPONENTS[name].make(GNN).fit(inputs, rng=np.random.default_rng(1)) for name in ("item_knn", "popularity")}
    asked: list[int] = []

    def scores(user_index):
        asked.extend(user_index.tolist())
        return {name: model.score(user_index) for name, model in models.items()}

    validation = Validation.prepare(new_UI, seen_UI=inputs.seen_UI, rng=np.random.default_rng(1))
    found = Slice(validation, scores, dict.fromkeys(models, "weight"), dict.fromkeys(models, 1.0), inputs.histories)
    choose_all(found, affinities=Affinities.of(inputs), config=HybridConfig(min_leaf_pairs=5), seed=3)
    assert set(Counter(asked).values()) == {3}
    assert len(set(asked)) == len(validation)


def test_the_rankers_lift_of_a_candidate_is_the_pools() -> None:
    """Masses are taken with the candidates, before it is known how models are read; here all items not met are candidates."""
    rng = np.random.default_rng(6)
    liked_UI = rng.random((20, 12)) * (rng.random((20, 12)) < 0.5)
    inputs, met_BI = make_inputs(liked_UI), sp.csr_array(liked_UI > 0, dtype=np.float32)
    models = {name: COMPONENTS[name].make(GNN).fit(inputs, rng=rng) for name in ("item_knn", "ease", "popularity")}
    scores = {name: model.score(everyone(inputs)) for name, model in models.items()}
    units = {name: unit_of(scores_UI) for name, scores_UI in scores.items()}
    validation = Validation.prepare(sp.csr_array(1.0 - met_BI.toarray()), seen_UI=met_BI, rng=rng)
    found = Slice(validation, lambda _: scores, dict.fromkeys(models, "weight"), units, inputs.histories)
    readings = {name: _readings("weight", unit=units[name]) for name in models}
    equal = Setting((1 / 3, 1 / 3, 1 / 3), (0, 0, 0))
    candidates = _candidates(found, readings=readings, start=equal, affinities=Affinities.of(inputs), config=HybridConfig())
    opinions = _opinions(readings, Setting((0.5, 0.3, 0.2), (0, 7, 6)))
    lift_BI = log_lift(pooled(scores, opinions=opinions, met_BI=met_BI), num_items=12)
    np.testing.assert_allclose(_pairs(candidates, opinions=opinions).lift_P, lift_BI[liked_UI == 0], rtol=1e-4, atol=1e-5)


def tastes_and_new_likes() -> tuple[ModelInputs, sp.csr_array]:
    """The world of two tastes, and that each user came to like the item withheld."""
    inputs, withheld_U = two_tastes()
    return inputs, sp.csr_array((np.ones(len(withheld_U)), (np.arange(len(withheld_U)), withheld_U)), shape=inputs.seen_UI.shape)


def test_learned_from_a_slice_scores_are_calibrated_and_tell_tastes_apart() -> None:
    inputs, relevant_UI = tastes_and_new_likes()
    model = Hybrid.of(HybridConfig(models=CLOSED), model=GNN).fit(inputs, rng=np.random.default_rng(1), validation_UI=relevant_UI)
    scores_UI, withheld_U = model.score(everyone(inputs)), relevant_UI.indices
    assert (np.abs(scores_UI) <= 1).all()
    liked_U = scores_UI[np.arange(len(withheld_U)), withheld_U]
    other_U = scores_UI[np.arange(len(withheld_U)), (withheld_U + 1) % scores_UI.shape[1]]
    assert liked_U.min() > 0 > other_U.max()
    assert [stage.name for stage in model.choices.stages] == [*CLOSED, "pool", "ranker"]
    assert Choices.from_json(model.choices.to_json()) == model.choices


def test_scores_rise_with_the_lift_even_where_the_slice_says_the_opposite() -> None:
    """Everybody comes to like the other taste: likes are where no model looks, and a scale fitted to that would turn the order round."""
    inputs, _ = two_tastes()
    other_UI = np.arange(48)[:, None] % 2 != np.arange(16)[None, :] % 2
    config = HybridConfig(models=("item_knn", "ease"), max_trees=0)
    model = Hybrid.of(config, model=GNN).fit(inputs, rng=np.random.default_rng(1), validation_UI=sp.csr_array(other_UI))
    assert model.choices.slope == LEAST_SLOPE
    unmet_UI = inputs.seen_UI.toarray() == 0
    own_U = [scores[unmet & ~other].min() for scores, unmet, other in zip(model.score(np.arange(48)), unmet_UI, other_UI, strict=True)]
    other_U = [scores[other].max() for scores, other in zip(model.score(np.arange(48)), other_UI, strict=True)]
    assert (np.array(own_U) > other_U).all()


def test_an_empty_slice_leaves_all_models_counting_the_same() -> None:
    inputs = awkward_world()
    nothing = sp.csr_array(inputs.seen_UI.shape, dtype=np.float32)
    model = Hybrid.of(HybridConfig(models=CLOSED), model=GNN).fit(inputs, rng=np.random.default_rng(1), validation_UI=nothing)
    assert {opinion.weight for opinion in model.choices.opinions.values()} == {1 / len(CLOSED)}


def test_choices_of_an_earlier_fit_are_kept_by_a_later_one() -> None:
    inputs, _ = two_tastes()
    choices = Choices({"item_knn": Opinion(Reading("weight", 1.5), 1.0)}, slope=0.5, intercept=-1.0)
    model = Hybrid.of(HybridConfig(models=("item_knn",)), model=GNN, choices=choices).fit(inputs, rng=np.random.default_rng(1))
    assert model.choices == choices.measured_in({"item_knn": model.choices.opinions["item_knn"].reading.unit})


def test_the_pool_stands_beside_the_ranker_in_a_trial() -> None:
    model = TestHybridWithRanker().fitted(two_tastes()[0])
    assert list(model.stages()) == [POOL_NAME]
    pool = model.stages()[POOL_NAME]
    assert not np.array_equal(pool.score(np.arange(4)), model.score(np.arange(4)))


@pytest.mark.parametrize("maker", [TestHybridOfClosedForms, TestHybridWithRanker])
def test_some_items_score_as_among_all_however_many_ask(maker) -> None:
    inputs = two_tastes()[0]
    model, items = maker().fitted(inputs), np.array([5, 0, 9])
    together = model.fold_in(inputs.histories, met_BI=inputs.seen_UI)
    np.testing.assert_array_equal(model.fold_in(inputs.histories, met_BI=inputs.seen_UI, items=items), together[:, items])
    # More than a block.
    many = np.tile(np.arange(len(inputs.users)), 7)
    found = model.fold_in(inputs.histories.take(many), met_BI=inputs.seen_UI[many], items=items)
    np.testing.assert_allclose(found, together[many][:, items], rtol=1e-5, atol=1e-6)


def test_a_user_nothing_is_known_of_is_answered_by_popularity() -> None:
    inputs = make_inputs(np.array([[1.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]))
    scores_I = Hybrid.of(HybridConfig(models=CLOSED), model=GNN).fit(inputs, rng=np.random.default_rng(1)).score(np.array([2]))[0]
    assert scores_I[0] > scores_I[1] > scores_I[2]
