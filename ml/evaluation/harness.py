"""Every model through the same test: one split, one truth, full ranking, one table.

How a single figure is defined is in `metrics` and `lists`, who is grouped in `segments`;
whether a model may go live is decided in `gate`. Shapes: T test users, I items, K list length, M columns.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ml.config.pipeline import EvaluationConfig
from ml.contracts.outputs import EVALUATION, MODEL_COMPARISONS
from ml.evaluation.exam import Exam
from ml.evaluation.intervals import bootstrap_means, percentile_interval
from ml.evaluation.metrics import MetricArray
from ml.evaluation.rankings import Scorer, rank_items
from ml.evaluation.summary import Row, coverage_rows, summary_rows
from ml.evaluation.truth import Truth
from ml.ids import IntArray
from ml.models.inputs import ModelInputs

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Evaluation:
    """The `evaluation` table, and the accuracy of every model for every test user.

    `per_user[model][metric]` has shape [T], in the order of `user_index`; what is
    better is larger for every metric in it.
    """

    table: pa.Table
    per_user: dict[str, dict[str, MetricArray]]
    user_index: IntArray


def evaluate(
    models: Mapping[str, Scorer], *, inputs: ModelInputs, truth: Truth, config: EvaluationConfig, progress: Progress | None = None
) -> Evaluation:
    """Rank with every model and measure; fitted models by the name they get in the table.

    Equal scores are ordered by popularity in training, then by item id, for every model
    alike. So a model that has nothing to say about a user (all items score equal) is
    measured as popularity there; the metric `silent_users` is how often that happened.
    Raises `EvaluationError` where there is nobody to test on.
    """
    exam = Exam.prepare(inputs=inputs, truth=truth, config=config)
    rows: list[Row] = []
    per_user = {}
    for number, (name, model) in enumerate(models.items()):
        ranking = rank_items(
            model,
            inputs=inputs,
            user_index=exam.user_index,
            item_order=exam.item_order,
            k=max(config.cutoffs),
            progress=_share_of(progress, part=number, parts=len(models)),
        )
        in_segments = {group.name: exam.measure(ranking.items_TK, group, config=config) for group in exam.groups}
        per_user[name] = in_segments["all"]
        everyone = in_segments["all"] | exam.describe(ranking.items_TK, config=config) | {"silent_users": ranking.silent_T.astype(float)}
        for segment, figures in (in_segments | {"all": everyone}).items():
            rows += summary_rows(figures, model=name, segment=segment, config=config)
        rows += coverage_rows(ranking.items_TK, model=name, num_items=len(inputs.items), config=config)
    return Evaluation(EVALUATION.conform(pa.Table.from_pylist(rows, schema=EVALUATION.schema)), per_user, exam.user_index)


def compare(evaluation: Evaluation, *, model: str, config: EvaluationConfig) -> pa.Table:
    """`model` minus every other model of the evaluation, paired by user: the `model_comparisons` table.

    Raises `ValueError` where `model` was not evaluated.
    """
    if model not in evaluation.per_user:
        raise ValueError(f"{model} was not evaluated; evaluated: {', '.join(evaluation.per_user)}")
    ours = evaluation.per_user[model]
    pairs = [(baseline, metric) for baseline in evaluation.per_user if baseline != model for metric in ours]
    if not pairs:
        return MODEL_COMPARISONS.empty()
    differences_TM = np.stack([ours[metric] - evaluation.per_user[baseline][metric] for baseline, metric in pairs], axis=1)
    means_RM = bootstrap_means(differences_TM, num_bootstrap=config.num_bootstrap, rng=np.random.default_rng(config.seed))
    low_M, high_M = percentile_interval(means_RM, confidence=config.confidence)
    columns = {
        "model": pa.array([model] * len(pairs)),
        "baseline": pa.array([baseline for baseline, _ in pairs]),
        "metric": pa.array([metric for _, metric in pairs]),
        "difference": differences_TM.mean(axis=0),
        "ci_low": low_M,
        "ci_high": high_M,
        "num_users": np.full(len(pairs), len(differences_TM)),
    }
    return MODEL_COMPARISONS.conform(pa.table(columns))


def _share_of(progress: Progress | None, *, part: int, parts: int) -> Progress | None:
    """Progress of one of several equal parts, told as progress of the whole."""
    if progress is None:
        return None
    return lambda done, total: progress(part * total + done, parts * total)
