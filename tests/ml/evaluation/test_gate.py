"""The gate's rule, case by case; the reason is a sentence either way."""

import numpy as np
import pytest

from ml.config.pipeline import EvaluationConfig
from ml.contracts.outputs import EVALUATION
from ml.errors import ConfigError
from ml.evaluation.gate import GateDecision, judge
from ml.evaluation.harness import Evaluation

CONFIG = EvaluationConfig(num_bootstrap=500)
POPULARITY = np.random.default_rng(1).uniform(0.1, 0.3, size=200)
NOISE = np.random.default_rng(2).normal(0.0, 0.05, size=200)
NOISE -= NOISE.mean()


def judged(config: EvaluationConfig = CONFIG, *, against: str | None = None, **models: np.ndarray) -> GateDecision:
    per_user = {name: {"ndcg@10": values, "recall@10": 1.0 - values} for name, values in models.items()}
    evaluation = Evaluation(EVALUATION.empty(), per_user, np.arange(len(models["popularity"])))
    return judge(evaluation, candidate="ours", incumbent=against, config=config)


def test_a_clear_win_without_a_live_release_is_promoted() -> None:
    decision = judged(popularity=POPULARITY, ours=POPULARITY + 0.03 + NOISE)
    assert decision.passed
    assert decision.reason.startswith("Passed: ours beats popularity on ndcg@10 (")
    assert "+0.0300" in decision.reason
    assert "200 test users" in decision.reason
    assert decision.reason.endswith("there is nothing before it to hold against.")


@pytest.mark.parametrize(
    "gain", [np.zeros(200), NOISE, NOISE + 0.001, NOISE - 0.02], ids=["equal", "noise", "a gain within the noise", "a loss"]
)
def test_no_certain_gain_over_popularity_is_not_promoted(gain: np.ndarray) -> None:
    decision = judged(popularity=POPULARITY, ours=POPULARITY + gain)
    assert not decision.passed
    assert decision.reason.startswith("Refused: ours does not beat popularity on ndcg@10 beyond doubt")
    assert decision.reason.endswith(".")


def test_a_win_on_few_users_whose_interval_holds_zero_is_not_promoted() -> None:
    gain = np.zeros(200)
    gain[0] = 0.9
    decision = judged(popularity=POPULARITY, ours=POPULARITY + gain)
    assert not decision.passed
    assert "does not lie above 0" in decision.reason


@pytest.mark.parametrize("num_users", [1, 19])
def test_too_few_users_judge_nothing(num_users: int) -> None:
    # One user's interval has no width and would exclude 0 by itself.
    decision = judged(popularity=np.zeros(num_users), ours=np.ones(num_users))
    assert not decision.passed
    assert decision.reason == (f"Refused: {num_users} test user(s) are too few to judge ours by ndcg@10 (evaluation.gate_min_users is 20).")
    assert judged(popularity=np.zeros(20), ours=np.ones(20)).passed


@pytest.mark.parametrize(("share_of_live", "promoted"), [(1.05, True), (1.0, True), (0.985, True), (0.975, False), (0.5, False)])
def test_a_live_release_may_be_missed_by_the_margin_only(share_of_live: float, promoted: bool) -> None:
    live = np.full(200, 0.8)
    decision = judged(popularity=POPULARITY / 10, ours=live * share_of_live + NOISE, live=live, against="live")
    assert decision.passed is promoted
    if promoted:
        assert "holds against the live within the margin of 2.0%" in decision.reason
    else:
        assert "but loses to the live by more than the margin of 2.0%" in decision.reason
    assert "0.8000" in decision.reason


def test_the_margin_is_a_setting() -> None:
    models = {"popularity": POPULARITY / 10, "ours": np.full(200, 0.7) + NOISE, "live": np.full(200, 0.8)}
    assert not judged(against="live", **models).passed
    assert judged(CONFIG.model_copy(update={"gate_margin": 0.2}), against="live", **models).passed


def test_popularity_comes_first_even_where_the_live_release_is_worse() -> None:
    decision = judged(popularity=POPULARITY, ours=POPULARITY - 0.05, live=POPULARITY - 0.09, against="live")
    assert not decision.passed
    assert "does not beat popularity" in decision.reason


def test_the_metric_is_a_setting() -> None:
    models = {"popularity": POPULARITY, "ours": POPULARITY + 0.03 + NOISE}
    assert not judged(CONFIG.model_copy(update={"gate_metric": "recall@10"}), **models).passed
    with pytest.raises(ConfigError, match=r"evaluation.gate_metric is 'ndcg@7'.*ndcg@10, recall@10"):
        judged(CONFIG.model_copy(update={"gate_metric": "ndcg@7"}), **models)


def test_what_was_not_evaluated_cannot_be_judged() -> None:
    with pytest.raises(ValueError, match="needs live in the evaluation"):
        judged(popularity=POPULARITY, ours=POPULARITY, against="live")


def test_the_same_evaluation_is_judged_alike() -> None:
    models = {"popularity": POPULARITY, "ours": POPULARITY + 0.008 + NOISE}
    assert judged(**models) == judged(**models)
