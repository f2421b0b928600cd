"""Per-user figures as rows of the `evaluation` table, with their intervals."""

from collections.abc import Mapping

import numpy as np

from ml.config.pipeline import EvaluationConfig
from ml.evaluation.intervals import bootstrap_means, percentile_interval
from ml.evaluation.lists import coverage
from ml.evaluation.metrics import MetricArray
from ml.ids import IntArray

Row = dict[str, str | float | int | None]


def summary_rows(figures: Mapping[str, MetricArray], *, model: str, segment: str, config: EvaluationConfig) -> list[Row]:
    """A row per metric; none where the segment has no user. All models draw the same resamples."""
    by_missing: dict[bytes, list[str]] = {}
    for metric, values in figures.items():
        by_missing.setdefault(np.isnan(values).tobytes(), []).append(metric)
    rows: list[Row] = []
    for metrics in by_missing.values():
        values_TM = np.stack([figures[metric] for metric in metrics], axis=1)
        values_TM = values_TM[~np.isnan(values_TM[:, 0])]
        if len(values_TM) == 0:
            continue
        means_RM = bootstrap_means(values_TM, num_bootstrap=config.num_bootstrap, rng=np.random.default_rng(config.seed))
        ends = percentile_interval(means_RM, confidence=config.confidence)
        for metric, value, low, high in zip(metrics, values_TM.mean(axis=0), *ends, strict=True):
            rows.append(_row(model, segment, metric, float(value), len(values_TM), low=float(low), high=float(high)))
    return rows


def coverage_rows(items_TK: IntArray, *, model: str, num_items: int, config: EvaluationConfig) -> list[Row]:
    """Coverage at every cutoff; a figure of the catalogue, so without interval."""
    return [
        _row(model, "all", f"coverage@{k}", coverage(items_TK[:, :k], num_items=num_items), len(items_TK), low=None, high=None)
        for k in config.cutoffs
    ]


def _row(model: str, segment: str, metric: str, value: float, num_users: int, *, low: float | None, high: float | None) -> Row:
    return {
        "model": model,
        "segment": segment,
        "metric": metric,
        "value": value,
        "ci_low": low,
        "ci_high": high,
        "num_users": num_users,
    }
