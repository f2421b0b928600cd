"""A candidate put to the test beside its baselines and the last full fit, and the gate's verdict.

Everything is measured on the candidate's own test window with inputs from before
it; the baselines are fitted here, on those inputs.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ml.config import PipelineConfig
from ml.contracts.outputs import EVALUATION, MODEL_COMPARISONS
from ml.evaluation.gate import GateDecision, judge
from ml.evaluation.harness import compare, evaluate
from ml.evaluation.rankings import Scorer
from ml.evaluation.realigned import Realigned
from ml.evaluation.truth import held_out
from ml.models.ease import EASE
from ml.models.ials import IALS
from ml.models.inputs import ModelInputs
from ml.models.item_knn import ItemKNN
from ml.models.popularity import Popularity
from ml.models.recommender import Recommender
from ml.models.text_only import TextOnly
from ml.training.candidate import Candidate, FittedModel, TrainingTables

Progress = Callable[[int, int], None]
LAST_FULL_FIT = "last_full_fit"


@dataclass(frozen=True)
class Trial:
    """The tables `evaluation` and `model_comparisons`, and whether the candidate passed."""

    evaluation: pa.Table
    comparisons: pa.Table
    decision: GateDecision


def baselines() -> tuple[Recommender, ...]:
    """What a model must stand beside, unfitted."""
    return (Popularity(), ItemKNN(), EASE(), IALS(), TextOnly())


def put_to_trial(
    candidate: Candidate,
    *,
    tables: TrainingTables,
    last_full_fit: FittedModel | None,
    config: PipelineConfig,
    progress: Progress | None = None,
) -> Trial:
    """Measure the candidate, the baselines and, where the candidate started from one, the last full fit; then judge.

    `last_full_fit` is the measured model of the day the candidate started from, so its row says what
    the shorter training did to quality. One that knows events of the test window would know its
    answers; it is left out, and the verdict says so.
    """
    inputs = tables.inputs(config=config, as_of=candidate.split.test_start)
    truth = held_out(tables.interactions, inputs=inputs, start=candidate.split.test_start, end=candidate.split.end)
    ours = candidate.evaluated.model
    models: dict[str, Scorer] = {ours.name: ours, **ours.stages()}
    for baseline in baselines():
        models[baseline.name] = fitted_baseline(baseline, inputs=inputs, config=config)
    comparable = last_full_fit is not None and last_full_fit.as_of <= inputs.as_of
    if last_full_fit is not None and comparable:
        models[LAST_FULL_FIT] = realigned(last_full_fit, inputs=inputs)
    if not truth.relevant_UI.nnz:
        return untried("the test window holds no new like of a user known before it")
    evaluation = evaluate(models, inputs=inputs, truth=truth, config=config.evaluation, progress=progress)
    decision = judge(evaluation, candidate=ours.name, incumbent=LAST_FULL_FIT if comparable else None, config=config.evaluation)
    if last_full_fit is not None and not comparable:
        decision = GateDecision(decision.passed, f"{decision.reason} The last full fit knows events of this test and was left out.")
    return Trial(evaluation.table, compare(evaluation, model=ours.name, config=config.evaluation), decision)


def fitted_baseline(baseline: Recommender, *, inputs: ModelInputs, config: PipelineConfig) -> Recommender:
    """A baseline fitted as every trial fits it."""
    return baseline.fit(inputs, rng=np.random.default_rng(config.evaluation.seed))


def untried(reason: str) -> Trial:
    """The trial of a day on which nothing could be measured."""
    return Trial(EVALUATION.empty(), MODEL_COMPARISONS.empty(), GateDecision(False, f"Refused: {reason}."))


def realigned(fitted: FittedModel, *, inputs: ModelInputs) -> Realigned:
    """An earlier model over the users and items of these inputs."""
    return Realigned(fitted.model, model_users=fitted.users, model_items=fitted.items, model_as_of=fitted.as_of, inputs=inputs)
