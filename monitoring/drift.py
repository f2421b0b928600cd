"""Drift of behaviour, interests and embeddings between the last days and the weeks before them, by Evidently.

A column has drifted if its distance to the reference is at least `min_drift_score`
and `noise_factor` times what the reference's own weeks differ among themselves.
Which columns, and how windows are cut and sampled: `monitoring.columns`, `monitoring.windows`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from ml.config.pipeline import MonitoringConfig
from ml.contracts.outputs import DRIFT
from monitoring.columns import (
    WATCHED,
    Watched,
    activity_columns,
    common_names,
    component_columns,
    interaction_columns,
    interest_columns,
)
from monitoring.report import page
from monitoring.windows import CURRENT, MIN_BLOCKS, Blocks, sampled_window

DECIMALS = 9
METHODS = {"numerical": "wasserstein", "categorical": "jensenshannon"}


@dataclass(frozen=True)
class DriftReport:
    """The `drift` table and the HTML page that shows its distributions."""

    table: pa.Table
    html: str


@dataclass(frozen=True)
class _Column:
    """A watched column's sampled values (no nulls) and the block of each; `threshold` is None where it is not compared."""

    watched: Watched
    values: pd.Series
    blocks: Blocks
    threshold: float | None
    finding: str

    def window(self, *, current: bool) -> pd.Series:
        """Values of the current window, or of the reference."""
        found: pd.Series = self.values[(self.blocks == CURRENT) == current]
        return found.reset_index(drop=True)


def measure_drift(
    interactions: pa.Table,
    *,
    user_activity_daily: pa.Table,
    items: pa.Table,
    item_interests: pa.Table,
    interest_points: pa.Table,
    item_embeddings: pa.Table,
    config: MonitoringConfig,
    as_of: datetime,
) -> DriftReport:
    """Compare the `current_days` before `as_of` with the `reference_days` before those.

    The first two tables are histories that cover both windows, the others the day's
    snapshots. Too little history is a row that says so, never an error; raises
    `ConfigError` if the reference window is shorter than two current ones.
    """
    met, met_blocks = sampled_window(interactions, order=["day", "user_id", "item_id"], config=config, as_of=as_of)
    active, active_blocks = sampled_window(user_activity_daily, order=["day", "user_id"], config=config, as_of=as_of)
    rng = np.random.default_rng(config.seed)
    by_interaction = [
        interaction_columns(met, items=items),
        interest_columns(met, item_interests=item_interests, interest_points=interest_points, rng=rng),
        component_columns(met, blocks=met_blocks, item_embeddings=item_embeddings),
    ]
    frames = [(pd.concat(by_interaction, axis=1), met_blocks), (activity_columns(active), active_blocks)]
    columns = [_column(watched, frames=frames, config=config) for watched in WATCHED]
    return _report(columns, config=config, as_of=as_of)


def drift_verdict(drift: pa.Table, *, config: MonitoringConfig) -> tuple[bool, str]:
    """Whether behaviour is as it was, and why; fails if in any group the share of drifted columns reaches `max_drifted_share`."""
    rows = drift.to_pylist()
    compared = [row for row in rows if row["score"] is not None]
    if not compared:
        return True, "not compared: " + "; ".join(sorted({row["method"] for row in rows}))
    groups = {group: [row for row in compared if row["dataset"] == group] for group in sorted({row["dataset"] for row in compared})}
    failed = {group: found for group, found in groups.items() if _share(found) >= config.max_drifted_share}
    said = [_sentence(group, found) for group, found in (failed or groups).items()]
    return not failed, "; ".join(said)


def _share(rows: Sequence[dict[str, Any]]) -> float:
    return sum(1 for row in rows if row["has_drifted"]) / len(rows)


def _sentence(group: str, rows: Sequence[dict[str, Any]]) -> str:
    drifted = sorted((row for row in rows if row["has_drifted"]), key=lambda row: row["threshold"] - row["score"])
    named = ", ".join(f"{row['column_name']} {row['score']:.2f} >= {row['threshold']:.2f}" for row in drifted[:3])
    return f"{group}: {len(drifted)} of {len(rows)} columns drifted" + (f" ({named})" if named else "")


def _column(watched: Watched, *, frames: Sequence[tuple[pd.DataFrame, Blocks]], config: MonitoringConfig) -> _Column:
    frame, blocks = next((frame, blocks) for frame, blocks in frames if watched.name in frame.columns)
    values = frame[watched.name]
    if watched.kind == "categorical":
        values = common_names(values, blocks=blocks)
    present = values.notna().to_numpy()
    values, blocks = values[present].reset_index(drop=True), blocks[present]
    counts = {int(block): int(count) for block, count in zip(*np.unique(blocks, return_counts=True), strict=True)}
    whole = [block for block, count in counts.items() if block != CURRENT and count >= config.min_rows]
    if counts.get(CURRENT, 0) < config.min_rows or len(whole) < MIN_BLOCKS:
        return _Column(watched, values, blocks, None, _too_little(config))
    distance = _distance(watched)
    noise = max(distance(values[(blocks >= 0) & (blocks != block)], values[blocks == block]) for block in whole)
    return _Column(watched, values, blocks, max(config.min_drift_score, config.noise_factor * noise), METHODS[watched.kind])


def _too_little(config: MonitoringConfig) -> str:
    days = config.current_days
    return f"too few rows: {config.min_rows} needed in the last {days} days and in {MIN_BLOCKS} spans of {days} days before"


def _distance(watched: Watched) -> Callable[[pd.Series, pd.Series], float]:
    """Evidently's own distance, so that noise and drift are on one scale."""
    from evidently.legacy.calculations.stattests import get_stattest  # noqa: PLC0415  (Evidently imports slowly)
    from evidently.legacy.core import ColumnType  # noqa: PLC0415

    kind = ColumnType.Numerical if watched.kind == "numerical" else ColumnType.Categorical

    def distance(reference: pd.Series, current: pd.Series) -> float:
        test = get_stattest(reference, current, kind, METHODS[watched.kind])
        return float(test(reference, current, kind, threshold=None).drift_score)

    return distance


def _report(columns: Sequence[_Column], *, config: MonitoringConfig, as_of: datetime) -> DriftReport:
    compared = [column for column in columns if column.threshold is not None]
    scores, html = _run_evidently(compared) if compared else ({}, "")
    rows = [_row(column, scores.get(column.watched.name)) for column in columns]
    table = DRIFT.conform(pa.Table.from_pylist(rows, schema=pa.schema([field.with_nullable(True) for field in DRIFT.schema])))
    table = table.sort_by([("dataset", "ascending"), ("column_name", "ascending")])
    if not compared:
        html = page(f"Drift before {as_of.date().isoformat()}", f"<p>Not compared: {_too_little(config)}.</p>")
    return DriftReport(table, html)


def _exact(figure: float | None) -> float | None:
    """Without its last bits: Evidently adds over a set of texts, whose order is another one in every process."""
    return None if figure is None else round(figure, DECIMALS)


def _row(column: _Column, score: float | None) -> dict[str, Any]:
    score, threshold = _exact(score), _exact(column.threshold)
    return {
        "dataset": column.watched.dataset,
        "column_name": column.watched.name,
        "method": column.finding,
        "score": score,
        "threshold": threshold,
        "has_drifted": score is not None and threshold is not None and score >= threshold,
        "num_reference": len(column.window(current=False)),
        "num_current": len(column.window(current=True)),
    }


def _run_evidently(columns: Sequence[_Column]) -> tuple[dict[str, float], str]:
    """Score of each column by name, and Evidently's page of all distributions."""
    from evidently import DataDefinition, Dataset, Report  # noqa: PLC0415  (Evidently imports slowly)
    from evidently.metrics import ValueDrift  # noqa: PLC0415

    # Columns of several grains side by side: each is compared alone, shorter ones end in nulls.
    current = pd.concat([column.window(current=True).rename(column.watched.name) for column in columns], axis=1)
    reference = pd.concat([column.window(current=False).rename(column.watched.name) for column in columns], axis=1)
    definition = DataDefinition(
        numerical_columns=[column.watched.name for column in columns if column.watched.kind == "numerical"],
        categorical_columns=[column.watched.name for column in columns if column.watched.kind == "categorical"],
    )
    metrics = [
        ValueDrift(column=column.watched.name, method=METHODS[column.watched.kind], threshold=column.threshold) for column in columns
    ]
    snapshot = Report(metrics).run(
        Dataset.from_pandas(current, data_definition=definition), Dataset.from_pandas(reference, data_definition=definition)
    )
    values = [float(metric["value"]) for metric in snapshot.dict()["metrics"]]
    html: str = snapshot.get_html_str(as_iframe=False)
    return dict(zip((column.watched.name for column in columns), values, strict=True)), html
