"""What each part of the interest graph does to recommendations: our GNN with and without it, on one time split.

`plain` has likes, interests, topics and knowledge, unpruned; `pruned` the same without redundant and noisy edges;
then `within` (interest hierarchy), `similar` (items alike in meaning) and both are added to `pruned`. Settings are to be
chosen by the validation columns; the test columns say what came of it. Every figure is a user's mean over seeds.

python -m benchmarks.graph [--quick] [--json FILE]
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from benchmarks.intervals import with_interval
from benchmarks.program import real_dataset_files
from benchmarks.report import Options, Row, parse_options, publish, timed
from benchmarks.windows import tables_of
from ml.config import PipelineConfig
from ml.evaluation.harness import Evaluation, evaluate
from ml.evaluation.metrics import MetricArray
from ml.evaluation.split import TimeSplit, global_time_split
from ml.evaluation.truth import Truth, held_out
from ml.graph.edge_types import SIMILAR, WITHIN
from ml.models.gnn.interest_gnn import InterestGNN
from ml.models.inputs import ModelInputs
from ml.models.validation import Validation
from ml.training.candidate import TrainingTables
from ml.training.inputs import build_inputs

REAL_SETS = ("movielens", "douban-zh", "musical-instruments")
METRIC, SEEDS = "ndcg@10", (7, 8, 9)
BASE = "pruned"
# What the model looks along besides likes, interests, topics and knowledge; None: along nothing else, and nothing is pruned.
VARIANTS: Mapping[str, tuple[str, ...] | None] = {
    "plain": None,
    BASE: (),
    "pruned + within": (WITHIN.relation,),
    "pruned + similar": (SIMILAR.relation,),
    "pruned + both": (WITHIN.relation, SIMILAR.relation),
}


@dataclass(frozen=True)
class Outcome:
    """One variant: edges, validation figures per user (mean over seeds), processor seconds of both fits of a seed, the refitted models."""

    num_edges: int
    validation_V: MetricArray
    cpu_seconds: float
    models: Sequence[InterestGNN]


def main(options: Options) -> None:
    """Measure every set and publish the table; quick: the bundled sample alone."""
    real: dict[str, Path | None] = {} if options.quick else {**real_dataset_files(REAL_SETS)}
    rows: list[Row] = []
    for name, dataset_file in (real or {"shop": None}).items():
        rows += _rows(name, tables_of(dataset_file))
    notes = [
        f"intervals: 95%, bootstrap over users, of the mean over seeds {', '.join(map(str, SEEDS))}; minus {BASE}: paired by user",
        "cold items: ndcg@10 of the segment, mean over seeds; cpu s: choosing on the validation slice and refit, one seed",
    ]
    publish("graph", rows, options=options, notes=notes)


def config_of(variant: str) -> PipelineConfig:
    """The profile's defaults with what the variant changes."""
    base, along = PipelineConfig(), VARIANTS[variant]
    excluded = tuple(relation for relation in (WITHIN.relation, SIMILAR.relation) if relation not in (along or ()))
    unpruned = {"min_edge_weight": 0.0, "prune_implied": False, "max_edges_per_node": 2**31}
    graph = base.graph.model_copy(update=unpruned if along is None else {})
    return base.model_copy(update={"graph": graph, "model": base.model.model_copy(update={"excluded_relations": excluded})})


def _rows(name: str, tables: TrainingTables) -> list[Row]:
    config = PipelineConfig()
    split = global_time_split(tables.interactions, config=config.evaluation)
    found = {variant: _measure(tables, config=config_of(variant), split=split) for variant in VARIANTS}
    inputs = _inputs(tables, config=config_of(BASE), as_of=split.test_start)
    truth = held_out(tables.interactions, inputs=inputs, start=split.test_start, end=split.end)
    evaluation = _evaluate(found, inputs=inputs, truth=truth, config=config)
    test = {variant: np.mean([evaluation.per_user[_named(variant, seed)][METRIC] for seed in SEEDS], axis=0) for variant in VARIANTS}
    return [
        {
            "data set": name,
            "graph": variant,
            "edges": outcome.num_edges,
            "validation": with_interval(outcome.validation_V),
            f"validation minus {BASE}": _lead(outcome.validation_V, found[BASE].validation_V) if variant != BASE else None,
            "test": with_interval(test[variant]),
            f"test minus {BASE}": _lead(test[variant], test[BASE]) if variant != BASE else None,
            "cold items": _in_segment(evaluation, variant, segment="cold_items"),
            "cpu s": outcome.cpu_seconds,
        }
        for variant, outcome in found.items()
    ]


def _measure(tables: TrainingTables, *, config: PipelineConfig, split: TimeSplit) -> Outcome:
    early, inputs = (_inputs(tables, config=config, as_of=cut) for cut in (split.validation_start, split.test_start))
    truth = held_out(tables.interactions, inputs=early, start=split.validation_start, end=split.test_start)
    figures, models = [], []
    with timed() as timing:
        for seed in SEEDS:
            tuned = InterestGNN(config.model).fit(early, rng=np.random.default_rng(seed), validation_UI=truth.relevant_UI)
            validation = Validation.prepare(truth.relevant_UI, seen_UI=early.seen_UI, rng=np.random.default_rng(SEEDS[0]))
            figures.append(validation.ndcg(tuned.score))
            models.append(InterestGNN(tuned.chosen_config).fit(inputs, rng=np.random.default_rng(seed)))
    num_edges = sum(len(edges) for known, edges in inputs.graph.edges.items() if known.relation not in config.model.excluded_relations)
    return Outcome(num_edges, np.mean(figures, axis=0), timing.cpu_seconds / len(SEEDS), models)


def _inputs(tables: TrainingTables, *, config: PipelineConfig, as_of: datetime) -> ModelInputs:
    """With the hierarchy whether the model looks along it or not: pruning does."""
    return build_inputs(
        tables.interactions,
        items=tables.items,
        item_embeddings=tables.item_embeddings,
        item_interests=tables.item_interests,
        text_interests=tables.text_interests,
        knowledge_graph=tables.knowledge_graph,
        interests=config.interests,
        graph=config.graph,
        as_of=as_of,
        review_signals=tables.review_signals,
        reviews=config.reviews,
        interest_points=tables.interest_points,
        with_similar=SIMILAR.relation not in config.model.excluded_relations,
    )


def _evaluate(found: Mapping[str, Outcome], *, inputs: ModelInputs, truth: Truth, config: PipelineConfig) -> Evaluation:
    models = {_named(variant, seed): model for variant, outcome in found.items() for seed, model in zip(SEEDS, outcome.models, strict=True)}
    return evaluate(models, inputs=inputs, truth=truth, config=config.evaluation)


def _named(variant: str, seed: int) -> str:
    return f"{variant}, seed {seed}"


def _in_segment(evaluation: Evaluation, variant: str, *, segment: str) -> float | None:
    """Mean over seeds of the metric in a segment; None where nobody is in it."""
    wanted = {(_named(variant, seed), segment, METRIC) for seed in SEEDS}
    values = [float(row["value"]) for row in evaluation.table.to_pylist() if (row["model"], row["segment"], row["metric"]) in wanted]
    return float(np.mean(values)) if values else None


def _lead(figures_T: MetricArray, base_T: MetricArray) -> str:
    return with_interval(figures_T - base_T, sign="+")


if __name__ == "__main__":
    main(parse_options(__doc__))
