"""Every model on the same split: accuracy with intervals, our lead over each, processor seconds and memory of fitting.

Tables come from `interest-graph run`, in INTEREST_GRAPH_HOME where that is set (a finished run is
reused) and else in a home of its own: real sets where INTEREST_GRAPH_DATA (or ../shared/data)
holds them, otherwise the bundled sample. A set with few test users is measured again on earlier
windows, each with models fitted before it alone, and a user's windows are averaged.

python -m benchmarks.models [--quick] [--json FILE]
"""

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.program import dataset_option, environment, real_dataset_files, run_program
from benchmarks.report import Cost, Options, Row, costed, parse_options, publish
from ml.config import PipelineConfig
from ml.contracts import CONTRACTS
from ml.contracts.contract import TIMESTAMP
from ml.contracts.store import TableStore
from ml.evaluation.harness import Evaluation, evaluate
from ml.evaluation.intervals import bootstrap_means, percentile_interval
from ml.evaluation.metrics import MetricArray
from ml.evaluation.split import TimeSplit, global_time_split
from ml.evaluation.truth import held_out
from ml.models.gnn.interest_gnn import InterestGNN
from ml.models.inputs import ModelInputs
from ml.models.recommender import Recommender
from ml.training.candidate import TrainingTables
from ml.training.trial import baselines

REAL_SETS = ("movielens", "douban-zh", "musical-instruments")
METRICS = ("ndcg@10", "recall@20")
# Windows are added until a set has this many tested user-windows, but no more than that many windows.
ENOUGH_USERS, MOST_WINDOWS = 150, 5


@dataclass(frozen=True)
class Window:
    """One test window: who was tested, how every model did, what fitting cost."""

    user_ids: Sequence[str]
    evaluation: Evaluation
    costs: Mapping[str, Cost]


def main(options: Options) -> None:
    """Measure every set and publish the table; quick: the bundled sample alone, one window."""
    real: dict[str, Path | None] = {} if options.quick else {**real_dataset_files(REAL_SETS)}
    rows: list[Row] = []
    for name, dataset_file in (real or {"shop": None}).items():
        tables = training_tables(dataset_file)
        rows += _rows(name, _windows(tables, most=1 if options.quick else MOST_WINDOWS))
    notes = [
        "intervals: 95%, bootstrap over users; minus popularity, minus ours: ndcg@10, paired by user",
        "grown MiB: peak resident memory while fitting, minus that just before; interest_gnn: choosing on the validation slice and refit",
    ]
    publish("models", rows, options=options, notes=notes)


def training_tables(dataset_file: Path | None) -> TrainingTables:
    """The tables of the newest day of a data set, made by the main job."""
    with tempfile.TemporaryDirectory() as own_home:
        home = os.environ.get("INTEREST_GRAPH_HOME", own_home)
        finished = run_program("run", "--json", *dataset_option(dataset_file), environ=environment(home))
        if finished.code != 0:
            raise RuntimeError(finished.log[-2000:])
        made = json.loads(finished.out)
        store, day = TableStore(Path(made["places"]["tables"])), date.fromisoformat(made["day"])
        snapshots = [
            store.read(CONTRACTS[name], day=day)
            for name in (
                "items",
                "item_embeddings",
                "item_interests",
                "text_interests",
                "knowledge_graph",
                "review_signals",
                "interest_points",
            )
        ]
        return TrainingTables(store.read_history(CONTRACTS["interactions"], through=day), *snapshots)


def _windows(tables: TrainingTables, *, most: int) -> list[Window]:
    """The newest test window, and earlier ones while there are too few users: each knows only what came before it."""
    config = PipelineConfig()
    windows: list[Window] = []
    while len(windows) < most and sum(len(window.user_ids) for window in windows) < ENOUGH_USERS:
        split = global_time_split(tables.interactions, config=config.evaluation)
        windows.append(_measure(tables, split=split, config=config))
        before = pc.less(tables.interactions.column("last_event_at"), pa.scalar(split.test_start, TIMESTAMP))
        tables = replace(tables, interactions=tables.interactions.filter(before))
    return windows


def _measure(tables: TrainingTables, *, split: TimeSplit, config: PipelineConfig) -> Window:
    inputs = tables.inputs(config=config, as_of=split.test_start)
    truth = held_out(tables.interactions, inputs=inputs, start=split.test_start, end=split.end)
    models: dict[str, Recommender] = {}
    costs: dict[str, Cost] = {}
    with costed() as costs[InterestGNN.name]:
        models[InterestGNN.name] = _fit_ours(tables, split=split, inputs=inputs, config=config)
    for baseline in baselines():
        with costed() as costs[baseline.name]:
            models[baseline.name] = baseline.fit(inputs, rng=np.random.default_rng(config.evaluation.seed))
    evaluation = evaluate(models, inputs=inputs, truth=truth, config=config.evaluation)
    return Window(inputs.users.take(evaluation.user_index).to_pylist(), evaluation, costs)


def _fit_ours(tables: TrainingTables, *, split: TimeSplit, inputs: ModelInputs, config: PipelineConfig) -> InterestGNN:
    """As `train_candidate` does: choose against the validation slice, then refit on everything before the test."""
    early = tables.inputs(config=config, as_of=split.validation_start)
    validation = held_out(tables.interactions, inputs=early, start=split.validation_start, end=split.test_start)
    tuned = InterestGNN(config.model).fit(early, rng=np.random.default_rng(config.model.seed), validation_UI=validation.relevant_UI)
    return InterestGNN(tuned.chosen_config).fit(inputs, rng=np.random.default_rng(config.model.seed))


def _rows(name: str, windows: Sequence[Window]) -> list[Row]:
    rows: list[Row] = []
    for model in windows[0].costs:
        lead = {
            f"minus {shown}": _interval(windows, metric="ndcg@10", model=model, other=other) if other != model else None
            for shown, other in (("popularity", "popularity"), ("ours", InterestGNN.name))
        }
        rows.append(
            {
                "data set": name,
                "model": model,
                "windows": len(windows),
                "users": len({user for window in windows for user in window.user_ids}),
                **{metric: _interval(windows, metric=metric, model=model) for metric in METRICS},
                **lead,
                "coverage@10": float(np.mean([_figure(window, model=model, metric="coverage@10") for window in windows])),
                "fit cpu s": float(np.mean([window.costs[model].timing.cpu_seconds for window in windows])),
                "grown MiB": max(window.costs[model].grown_bytes for window in windows) / 2**20,
            }
        )
    return rows


def _interval(windows: Sequence[Window], *, metric: str, model: str, other: str | None = None) -> str:
    config = PipelineConfig().evaluation
    figures = _mean_by_user(windows, metric=metric, model=model)
    if other is not None:
        figures = figures - _mean_by_user(windows, metric=metric, model=other)
    means = bootstrap_means(figures[:, None], num_bootstrap=config.num_bootstrap, rng=np.random.default_rng(config.seed))
    low, high = percentile_interval(means, confidence=config.confidence)
    sign = "+" if other is not None else ""
    return f"{figures.mean():{sign}.4f} ({low[0]:{sign}.4f} to {high[0]:{sign}.4f})"


def _mean_by_user(windows: Sequence[Window], *, metric: str, model: str) -> MetricArray:
    """Each user's mean over the windows they were tested in, so that resampling users keeps a user's windows together."""
    user, position = np.unique(np.concatenate([window.user_ids for window in windows]), return_inverse=True)
    figures = np.concatenate([window.evaluation.per_user[model][metric] for window in windows])
    return np.bincount(position, weights=figures, minlength=len(user)) / np.bincount(position, minlength=len(user))


def _figure(window: Window, *, model: str, metric: str) -> float:
    rows = window.evaluation.table.to_pylist()
    return next(float(row["value"]) for row in rows if (row["model"], row["segment"], row["metric"]) == (model, "all", metric))


if __name__ == "__main__":
    main(parse_options(__doc__))
