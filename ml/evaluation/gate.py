"""Whether a candidate is good enough to be used. Says why, either way.

The rule, in `judge`, is also written out in docs/evaluation.md. Switching releases is `ml.training.releases`.
"""

from dataclasses import dataclass

import numpy as np

from ml.config.pipeline import EvaluationConfig
from ml.errors import ConfigError
from ml.evaluation.harness import Evaluation
from ml.evaluation.intervals import bootstrap_means, percentile_interval
from ml.models.popularity import Popularity


@dataclass(frozen=True)
class GateDecision:
    """The verdict and its reason, a full sentence for the record."""

    passed: bool
    reason: str


@dataclass(frozen=True)
class _Difference:
    """Candidate minus another model on the gate metric, paired by user."""

    mean: float
    low: float
    high: float
    candidate: float
    other: float

    def __str__(self) -> str:
        return f"{self.candidate:.4f} against {self.other:.4f}, difference {self.mean:+.4f}, interval {self.low:+.4f} to {self.high:+.4f}"


def judge(evaluation: Evaluation, *, candidate: str, incumbent: str | None, config: EvaluationConfig) -> GateDecision:
    """Pass `candidate` if it beats popularity and does not lose to `incumbent`, on `config.gate_metric`.

    1. At least `gate_min_users` test users: an interval over fewer says nothing.
    2. The paired bootstrap interval of candidate minus popularity lies above 0.
    3. The paired mean of candidate minus incumbent is not below -`gate_margin` x the incumbent's
       mean; `incumbent` is None where there is nothing before it to hold against.

    The names are keys of the evaluation; all models were measured on the same users. Raises
    `ConfigError` for a metric that was not measured, `ValueError` for a model that was not.
    """
    _require_measured(evaluation, models=[candidate, Popularity.name, *([incumbent] if incumbent else [])], metric=config.gate_metric)
    num_users = len(evaluation.user_index)
    if num_users < config.gate_min_users:
        return GateDecision(
            False,
            f"Refused: {num_users} test user(s) are too few to judge {candidate} by {config.gate_metric} "
            f"(evaluation.gate_min_users is {config.gate_min_users}).",
        )
    lead = _difference(evaluation, candidate, Popularity.name, config=config)
    if lead.low <= 0.0:
        return GateDecision(
            False,
            f"Refused: {candidate} does not beat popularity on {config.gate_metric} beyond doubt "
            f"({lead}, which does not lie above 0; {num_users} test users).",
        )
    beats = f"{candidate} beats popularity on {config.gate_metric} ({lead}; {num_users} test users)"
    if incumbent is None:
        return GateDecision(True, f"Passed: {beats}, and there is nothing before it to hold against.")
    change = _difference(evaluation, candidate, incumbent, config=config)
    called = incumbent.replace("_", " ")
    allowed = config.gate_margin * change.other
    if change.mean < -allowed:
        return GateDecision(
            False, f"Refused: {beats}, but loses to the {called} by more than the margin of {config.gate_margin:.1%} ({change})."
        )
    return GateDecision(True, f"Passed: {beats} and holds against the {called} within the margin of {config.gate_margin:.1%} ({change}).")


def _difference(evaluation: Evaluation, candidate: str, other: str, *, config: EvaluationConfig) -> _Difference:
    ours_T = evaluation.per_user[candidate][config.gate_metric]
    theirs_T = evaluation.per_user[other][config.gate_metric]
    rng = np.random.default_rng(config.seed)
    means_RM = bootstrap_means((ours_T - theirs_T)[:, None], num_bootstrap=config.num_bootstrap, rng=rng)
    low_M, high_M = percentile_interval(means_RM, confidence=config.confidence)
    return _Difference(float((ours_T - theirs_T).mean()), float(low_M[0]), float(high_M[0]), float(ours_T.mean()), float(theirs_T.mean()))


def _require_measured(evaluation: Evaluation, *, models: list[str], metric: str) -> None:
    absent = [model for model in models if model not in evaluation.per_user]
    if absent:
        raise ValueError(f"the gate needs {', '.join(absent)} in the evaluation; evaluated: {', '.join(evaluation.per_user)}")
    measured = evaluation.per_user[models[0]]
    if metric not in measured:
        raise ConfigError(f"evaluation.gate_metric is {metric!r}, which is not measured; set it to one of {', '.join(measured)}")
