"""The harness against worlds whose figures are known, and against a slow reading of the same definitions."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.config.pipeline import EvaluationConfig
from ml.contracts.outputs import EVALUATION, MODEL_COMPARISONS
from ml.errors import EvaluationError
from ml.evaluation import rankings
from ml.evaluation.harness import Evaluation, compare, evaluate
from ml.models.ease import EASE
from ml.models.inputs import ModelInputs
from ml.models.item_knn import ItemKNN
from ml.models.popularity import Popularity
from ml.models.text_only import TextOnly
from tests.ml.evaluation.scripted import Fixed, figures, truth_of
from tests.ml.evaluation.slow_metrics import slow_metric
from tests.ml.models.worlds import make_inputs, two_tastes

CONFIG = EvaluationConfig(cutoffs=(1, 3), num_bootstrap=200)


@pytest.fixture
def world() -> ModelInputs:
    """Likes per item: 3, 1, 1, 0, 0; user 2 has met item 0 and likes nothing."""
    liked_UI = np.array([[1.0, 1.0, 0, 0, 0], [1.0, 0, 1.0, 0, 0], [0, 0, 0, 0, 0], [1.0, 0, 0, 0, 0]])
    disliked_UI = np.zeros((4, 5))
    disliked_UI[2, 0] = 1.0
    return make_inputs(liked_UI, disliked_UI=disliked_UI)


RELEVANT = np.array([[0, 0, 1, 1, 0], [0, 1, 0, 0, 0], [0, 1, 0, 0, 1], [0, 0, 0, 0, 0]])
# Lists: user 0: 3, 4, 2; user 1: 4, 3, 1; user 2: 1, 2, 3.
SCORES = np.array([[9, 9, 1, 3, 2], [9, 1, 9, 2, 3], [9, 5, 4, 3, 2], [9, 9, 9, 9, 9]])


def test_figures_by_hand(world: ModelInputs) -> None:
    found = figures(evaluate({"fixed": Fixed(SCORES)}, inputs=world, truth=truth_of(RELEVANT), config=CONFIG), model="fixed")
    log3 = np.log2(3)
    expected = {
        "recall@1": (1 / 2 + 0 + 1 / 2) / 3,
        "recall@3": (1 + 1 + 1 / 2) / 3,
        "ndcg@1": (1 + 0 + 1) / 3,
        "ndcg@3": ((1 + 1 / 2) / (1 + 1 / log3) + 1 / 2 + 1 / (1 + 1 / log3)) / 3,
        "mrr@1": 2 / 3,
        "mrr@3": (1 + 1 / 3 + 1) / 3,
        "map@1": 2 / 3,
        "map@3": ((1 + 2 / 3) / 2 + 1 / 3 + 1 / 2) / 3,
        "hit_rate@1": 2 / 3,
        "hit_rate@3": 1.0,
        "coverage@1": 3 / 5,
        "coverage@3": 4 / 5,
        # Bits: items 1 and 2 have -log2(2/5), items 3 and 4 -log2(1/5).
        "novelty@1": (2 * -np.log2(1 / 5) - np.log2(2 / 5)) / 3,
        "novelty@3": (5 * -np.log2(1 / 5) - 4 * np.log2(2 / 5)) / 9,
        # Percentiles: item 0 0.9, items 1 and 2 0.6, items 3 and 4 0.2; both likers' history has (0.9 + 0.6) / 2.
        "popularity_bias@1": 0.2 - 0.75,
        "popularity_bias@3": 1.0 / 3 - 0.75,
        "silent_users": 0.0,
    }
    assert set(found) == set(expected)
    for metric, value in expected.items():
        np.testing.assert_allclose(found[metric], value, err_msg=metric)


def test_segments_by_hand(world: ModelInputs) -> None:
    config = CONFIG.model_copy(update={"cold_user_interactions": 2})
    evaluation = evaluate({"fixed": Fixed(SCORES)}, inputs=world, truth=truth_of(RELEVANT), config=config)
    rows = {(row["segment"], row["metric"]): row for row in evaluation.table.to_pylist()}
    assert (rows["warm_users", "recall@3"]["value"], rows["warm_users", "recall@3"]["num_users"]) == (1.0, 2)
    assert (rows["cold_users", "recall@3"]["value"], rows["cold_users", "recall@3"]["num_users"]) == (0.5, 1)
    # Cold items 3 and 4: relevant for users 0 (found) and 2 (not found); user 1 has none and is left out.
    assert (rows["cold_items", "recall@3"]["value"], rows["cold_items", "recall@3"]["num_users"]) == (0.5, 2)
    assert (rows["tail_items", "recall@3"]["value"], rows["tail_items", "recall@3"]["num_users"]) == (2.5 / 3, 3)
    assert not [segment for segment, _ in rows if segment == "head_items"], "item 0 is the head; nobody can meet it anew"
    assert {metric for segment, metric in rows if segment == "cold_items"} == set(evaluation.per_user["fixed"])


def test_the_table_keeps_its_contract_and_intervals_hold_their_values(world: ModelInputs) -> None:
    evaluation = evaluate({"fixed": Fixed(SCORES)}, inputs=world, truth=truth_of(RELEVANT), config=CONFIG)
    assert evaluation.table.schema.equals(EVALUATION.schema)
    for row in evaluation.table.to_pylist():
        if row["metric"].startswith("coverage"):
            assert (row["ci_low"], row["ci_high"]) == (None, None)
        else:
            assert row["ci_low"] - 1e-12 <= row["value"] <= row["ci_high"] + 1e-12
    np.testing.assert_array_equal(evaluation.user_index, [0, 1, 2])
    assert {values.shape for values in evaluation.per_user["fixed"].values()} == {(3,)}


def test_popularity_bias_leaves_out_users_without_history(world: ModelInputs) -> None:
    evaluation = evaluate({"fixed": Fixed(SCORES)}, inputs=world, truth=truth_of(RELEVANT), config=CONFIG)
    num_users = {row["metric"]: row["num_users"] for row in evaluation.table.to_pylist() if row["segment"] == "all"}
    assert num_users["popularity_bias@3"] == 2
    assert num_users["novelty@3"] == num_users["ndcg@3"] == 3


def test_popularity_fails_where_taste_decides_and_the_others_pass() -> None:
    inputs, withheld_U = two_tastes()
    relevant_UI = np.zeros(inputs.seen_UI.shape)
    relevant_UI[np.arange(len(withheld_U)), withheld_U] = 1
    models = {model.name: model for model in (Popularity(), ItemKNN(), EASE(), TextOnly())}
    for model in models.values():
        model.fit(inputs, rng=np.random.default_rng(0))
    evaluation = evaluate(models, inputs=inputs, truth=truth_of(relevant_UI), config=CONFIG)
    for name in ("item_knn", "ease", "text_only"):
        assert figures(evaluation, model=name)["ndcg@1"] == 1.0
    assert figures(evaluation, model="popularity")["ndcg@1"] <= 1 / 8
    comparison = compare(evaluation, model="ease", config=CONFIG)
    against_popularity = [row for row in comparison.to_pylist() if row["baseline"] == "popularity"]
    assert all(row["ci_low"] > 0 for row in against_popularity)


def test_a_silent_model_is_measured_as_popularity(world: ModelInputs) -> None:
    popularity = Popularity().fit(world, rng=np.random.default_rng(0))
    models = {"popularity": popularity, "silent": Fixed(np.full(SCORES.shape, 0.25))}
    evaluation = evaluate(models, inputs=world, truth=truth_of(RELEVANT), config=CONFIG)
    ours, theirs = figures(evaluation, model="silent"), figures(evaluation, model="popularity")
    assert ours.pop("silent_users") == 1.0
    assert theirs.pop("silent_users") == 0.0
    assert ours == theirs


def test_ties_follow_popularity_then_position() -> None:
    # Nobody has met anything but user 3; likes: item 2 twice as much as items 0 and 3.
    liked_UI = np.array([[0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0], [1.0, 0, 2.0, 1.0]])
    inputs = make_inputs(liked_UI)
    ranking = rankings.rank_items(
        Fixed(np.tile([1.0, 5.0, 1.0, 1.0], (4, 1))),
        inputs=inputs,
        user_index=np.array([1]),
        item_order=rankings.popularity_order(Popularity().fit(inputs, rng=np.random.default_rng(0)).item_scores),
        k=5,
    )
    assert ranking.items_TK.tolist() == [[1, 2, 0, 3, -1]]
    assert ranking.silent_T.tolist() == [False]


@pytest.mark.parametrize("change", [lambda x: 1e-6 * x, lambda x: np.exp(x / 4) - 7, lambda x: x + 100])
def test_only_the_order_of_scores_matters(world: ModelInputs, change: Callable[[np.ndarray], np.ndarray]) -> None:
    plain = evaluate({"fixed": Fixed(SCORES)}, inputs=world, truth=truth_of(RELEVANT), config=CONFIG)
    changed = evaluate({"fixed": Fixed(change(SCORES))}, inputs=world, truth=truth_of(RELEVANT), config=CONFIG)
    assert changed.table.equals(plain.table)


def test_a_model_is_measured_alike_in_any_company(world: ModelInputs) -> None:
    other = Fixed(-SCORES)
    alone = evaluate({"fixed": Fixed(SCORES)}, inputs=world, truth=truth_of(RELEVANT), config=CONFIG)
    together = evaluate({"other": other, "fixed": Fixed(SCORES)}, inputs=world, truth=truth_of(RELEVANT), config=CONFIG)
    rows = [row for row in together.table.to_pylist() if row["model"] == "fixed"]
    assert rows == alone.table.to_pylist()
    assert together.table.column("model")[0].as_py() == "other"


def test_test_users_are_sampled_by_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(8)
    inputs = make_inputs((rng.random((60, 6)) < 0.3) * 1.0)
    truth = truth_of(inputs.seen_UI.toarray() == 0)
    config = CONFIG.model_copy(update={"max_test_users": 10})
    first = evaluate({"fixed": Fixed(rng.random((60, 6)))}, inputs=inputs, truth=truth, config=config)
    assert len(first.user_index) == 10
    assert (np.diff(first.user_index) > 0).all()
    again = evaluate({"fixed": Fixed(rng.random((60, 6)))}, inputs=inputs, truth=truth, config=config)
    np.testing.assert_array_equal(again.user_index, first.user_index)
    reseeded = evaluate({"fixed": Fixed(rng.random((60, 6)))}, inputs=inputs, truth=truth, config=config.model_copy(update={"seed": 8}))
    assert reseeded.user_index.tolist() != first.user_index.tolist()


def test_blocks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(9)
    inputs = make_inputs((rng.random((23, 7)) < 0.3) * 1.0)
    scores_UI, truth = rng.integers(0, 3, size=(23, 7)), truth_of(inputs.seen_UI.toarray() == 0)
    whole = evaluate({"fixed": Fixed(scores_UI)}, inputs=inputs, truth=truth, config=CONFIG)
    monkeypatch.setattr(rankings, "BLOCK_SIZE", 4)
    assert evaluate({"fixed": Fixed(scores_UI)}, inputs=inputs, truth=truth, config=CONFIG).table.equals(whole.table)


def test_nobody_to_test_on_says_what_to_do(world: ModelInputs) -> None:
    with pytest.raises(EvaluationError, match=r"3 unknown user.*test_share"):
        evaluate({"fixed": Fixed(SCORES)}, inputs=world, truth=truth_of(0 * RELEVANT, num_unknown_users=3), config=CONFIG)


def test_progress_rises_to_the_end(world: ModelInputs) -> None:
    calls: list[tuple[int, int]] = []
    models = {"a": Fixed(SCORES), "b": Fixed(SCORES)}
    evaluate(models, inputs=world, truth=truth_of(RELEVANT), config=CONFIG, progress=lambda done, total: calls.append((done, total)))
    assert calls == sorted(calls)
    assert calls[-1] == (6, 6)


def slow_figures(scores_UI: np.ndarray, inputs: ModelInputs, relevant_UI: np.ndarray, k: int) -> dict[str, float]:
    """The definitions again: a sorted Python list per user, no vector in sight."""
    popularity_I = inputs.positives_UI.toarray().astype(float).sum(axis=0).astype(np.float32)
    seen_UI = inputs.seen_UI.toarray() > 0
    rows: list[list[float]] = []
    for user in range(len(inputs.users)):
        relevant = {item for item in range(len(inputs.items)) if relevant_UI[user, item]}
        if relevant:
            unseen = [item for item in range(len(inputs.items)) if not seen_UI[user, item]]
            ranked = sorted(unseen, key=lambda item: (-scores_UI[user, item], -popularity_I[item], item))[:k]
            hits = [item in relevant for item in ranked] + [False] * (k - len(ranked))
            rows.append([slow_metric(metric, hits, len(relevant)) for metric in ("recall", "ndcg", "mrr", "map", "hit_rate")])
    means = np.mean(rows, axis=0)
    return {f"{metric}@{k}": value for metric, value in zip(("recall", "ndcg", "mrr", "map", "hit_rate"), means, strict=True)}


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 8), st.integers(2, 9), st.integers(1, 12))
def test_the_harness_equals_a_slow_one(seed: int, num_users: int, num_items: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    liked_UI = rng.integers(1, 3, size=(num_users, num_items)) * (rng.random((num_users, num_items)) < 0.3)
    inputs = make_inputs(liked_UI.astype(float))
    relevant_UI = (rng.random((num_users, num_items)) < 0.5) & (liked_UI == 0)
    if not relevant_UI.any():
        relevant_UI[0, 0], inputs = True, make_inputs(np.zeros((num_users, num_items)))
    # Few distinct scores, so that ties decide often.
    scores_UI = rng.integers(0, 3, size=(num_users, num_items)).astype(np.float32)
    config = EvaluationConfig(cutoffs=(k,), num_bootstrap=2)
    found = figures(evaluate({"fixed": Fixed(scores_UI)}, inputs=inputs, truth=truth_of(relevant_UI), config=config), model="fixed")
    for metric, value in slow_figures(scores_UI, inputs, relevant_UI, k).items():
        np.testing.assert_allclose(found[metric], value, rtol=1e-12)


def test_comparisons_are_paired_differences(world: ModelInputs) -> None:
    models = {"ours": Fixed(SCORES), "worse": Fixed(-SCORES), "same": Fixed(SCORES)}
    evaluation = evaluate(models, inputs=world, truth=truth_of(RELEVANT), config=CONFIG)
    comparison = compare(evaluation, model="ours", config=CONFIG)
    assert comparison.schema.equals(MODEL_COMPARISONS.schema)
    rows = {(row["baseline"], row["metric"]): row for row in comparison.to_pylist()}
    assert {baseline for baseline, _ in rows} == {"worse", "same"}
    for metric, ours in evaluation.per_user["ours"].items():
        worse = rows["worse", metric]
        np.testing.assert_allclose(worse["difference"], np.mean(ours - evaluation.per_user["worse"][metric]))
        assert worse["ci_low"] <= worse["difference"] + 1e-12
        assert worse["difference"] <= worse["ci_high"] + 1e-12
        assert worse["num_users"] == 3
        assert [rows["same", metric][column] for column in ("difference", "ci_low", "ci_high")] == [0.0, 0.0, 0.0]
    mirrored = {(row["baseline"], row["metric"]): row for row in compare(evaluation, model="worse", config=CONFIG).to_pylist()}
    np.testing.assert_allclose(mirrored["ours", "ndcg@3"]["ci_low"], -rows["worse", "ndcg@3"]["ci_high"])


def test_pairing_sees_a_small_gain_that_separate_intervals_hide() -> None:
    """Users differ far more than the models do: the intervals overlap, the paired difference is certain."""
    ours = np.random.default_rng(0).uniform(0.1, 0.8, size=40)
    evaluation = Evaluation(EVALUATION.empty(), {"ours": {"ndcg@10": ours + 0.01}, "base": {"ndcg@10": ours}}, np.arange(40))
    row = compare(evaluation, model="ours", config=CONFIG).to_pylist()[0]
    np.testing.assert_allclose([row["ci_low"], row["ci_high"]], 0.01)


def test_comparing_needs_the_model_and_a_baseline(world: ModelInputs) -> None:
    evaluation = evaluate({"ours": Fixed(SCORES)}, inputs=world, truth=truth_of(RELEVANT), config=CONFIG)
    assert compare(evaluation, model="ours", config=CONFIG).num_rows == 0
    with pytest.raises(ValueError, match="theirs was not evaluated; evaluated: ours"):
        compare(evaluation, model="theirs", config=CONFIG)
