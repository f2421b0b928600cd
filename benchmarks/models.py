"""Every model on the same split: accuracy with intervals, our lead over each, processor seconds and memory of fitting.

The hybrid and its stages, what a daily trial asks, every other model of ours with its default settings, other people's.
Real sets where INTEREST_GRAPH_DATA (or ../shared/data) holds them, otherwise the bundled sample, each run by
`interest-graph run`; other people's models as they come. A set with few test users is measured again on earlier
windows, each with models fitted before it alone, and a user's windows are averaged.

python -m benchmarks.models [--quick] [--json FILE]
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.program import real_dataset_files
from benchmarks.published.peers import PEERS, Factors
from benchmarks.report import Cost, Options, Row, asked, costed, parse_options, publish
from benchmarks.windows import MOST_WINDOWS, Window, fit_hybrid, fit_network, interval, tables_of, tested_users, windows_of
from ml.config import PipelineConfig
from ml.evaluation.harness import evaluate
from ml.evaluation.rankings import Scorer
from ml.evaluation.split import TimeSplit
from ml.evaluation.truth import held_out
from ml.models.community_popularity import CommunityPopularity
from ml.models.gnn.gat import GAT
from ml.models.gnn.lightgcn import LightGCN
from ml.models.gnn.sage import GraphSAGE
from ml.models.hybrid.hybrid import Hybrid
from ml.models.node2vec import Node2Vec
from ml.models.recommender import Recommender
from ml.models.spectral_filter import SpectralFilter
from ml.models.transitions import Transitions
from ml.models.user_knn import UserKNN
from ml.training.candidate import TrainingTables
from ml.training.trial import baselines

REAL_SETS = ("movielens", "douban-zh", "musical-instruments")
Contestant = Recommender | Factors
METRICS = ("ndcg@10", "recall@20")


def main(options: Options) -> None:
    """Measure every set and publish the table; quick: the bundled sample alone, one window."""
    real: dict[str, Path | None] = {} if options.quick else {**real_dataset_files(REAL_SETS)}
    rows: list[Row] = []
    for name, dataset_file in asked({"shop": None} | real, options=options).items():
        rows += _rows(name, windows_of(tables_of(dataset_file), measure=_measure, most=1 if options.quick else MOST_WINDOWS))
    notes = [
        "intervals: 95%, bootstrap over users; minus popularity, ours minus it: ndcg@10, paired by user",
        "grown MiB: peak resident memory while fitting, minus that just before; hybrid: choosing on the validation slice and refit, "
        "its stages are fitted within it",
    ]
    publish("models", rows, options=options, notes=notes)


def _measure(tables: TrainingTables, split: TimeSplit, config: PipelineConfig) -> Window:
    inputs = tables.inputs(config=config, as_of=split.test_start)
    truth = held_out(tables.interactions, inputs=inputs, start=split.test_start, end=split.end)
    costs: dict[str, Cost] = {}
    with costed() as costs[Hybrid.name]:
        ours = fit_hybrid(tables, split=split, inputs=inputs, config=config)
    models: dict[str, Scorer] = {Hybrid.name: ours, **ours.stages()}
    contestants: list[Contestant] = [*baselines(), *others(), *(peer() for peer in PEERS)]
    for contestant in contestants:
        with costed() as costs[contestant.name]:
            models[contestant.name] = contestant.fit(inputs, rng=np.random.default_rng(config.evaluation.seed))
    for trained in (LightGCN(), GraphSAGE(config.model), GAT(config.model)):
        with costed() as costs[trained.name]:
            models[trained.name] = fit_network(trained, tables, split=split, inputs=inputs, config=config)
    evaluation = evaluate(models, inputs=inputs, truth=truth, config=config.evaluation)
    return Window(inputs.users.take(evaluation.user_index).to_pylist(), evaluation, costs)


def others() -> tuple[Recommender, ...]:
    """Our models that no daily trial asks and that choose nothing on a validation slice, unfitted."""
    return (UserKNN(), SpectralFilter(), Transitions(), CommunityPopularity(), Node2Vec())


def _rows(name: str, windows: Sequence[Window]) -> list[Row]:
    # A ranker that one window grew and another did not has no figure over both.
    shared = [model for model in windows[0].evaluation.per_user if all(model in window.evaluation.per_user for window in windows)]
    return [_row(name, model=model, windows=windows) for model in shared]


def _row(name: str, *, model: str, windows: Sequence[Window]) -> Row:
    costs = [window.costs[model] for window in windows if model in window.costs]
    return {
        "data set": name,
        "model": model,
        "windows": len(windows),
        "users": tested_users(windows),
        **{metric: interval(windows, metric=metric, model=model) for metric in METRICS},
        "minus popularity": interval(windows, metric="ndcg@10", model=model, other="popularity") if model != "popularity" else None,
        "ours minus it": interval(windows, metric="ndcg@10", model=Hybrid.name, other=model) if model != Hybrid.name else None,
        "coverage@10": float(np.mean([_figure(window, model=model, metric="coverage@10") for window in windows])),
        "fit cpu s": float(np.mean([cost.timing.cpu_seconds for cost in costs])) if costs else None,
        "grown MiB": max(cost.grown_bytes for cost in costs) / 2**20 if costs else None,
    }


def _figure(window: Window, *, model: str, metric: str) -> float:
    rows = window.evaluation.table.to_pylist()
    return next(float(row["value"]) for row in rows if (row["model"], row["segment"], row["metric"]) == (model, "all", metric))


if __name__ == "__main__":
    main(parse_options(__doc__))
