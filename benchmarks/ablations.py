"""What each part of the hybrid is worth: it is fitted again without it, and the loss is measured on the same users.

Sets with time are cut by one clock; lastfm and bookcrossing have none, so a fifth of each user's items is withheld
there (and half as much again to choose on), which is no forecast and only told as what their knowledge adds, for which they are known.

python -m benchmarks.ablations [--quick] [--json FILE]
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import scipy.sparse as sp

from benchmarks.program import real_dataset_files
from benchmarks.published.questions import withhold
from benchmarks.report import Options, Row, asked, parse_options, publish
from benchmarks.windows import MOST_WINDOWS, View, Window, fit_hybrid, interval, rng_of, tables_of, tested_users, windows_of
from ml.config import PipelineConfig
from ml.evaluation.harness import evaluate
from ml.evaluation.rankings import Scorer
from ml.evaluation.split import TimeSplit
from ml.evaluation.truth import Truth, held_out
from ml.graph.interest_graph import EdgeType, InterestGraph
from ml.models.community_popularity import CommunityPopularity
from ml.models.gnn.interest_gnn import InterestGNN
from ml.models.hybrid.hybrid import Hybrid
from ml.models.inputs import ModelInputs
from ml.models.transitions import Transitions
from ml.training.candidate import TrainingTables

TIMED_SETS, TIMELESS_SETS = ("movielens", "douban-zh"), ("lastfm", "bookcrossing")
METRIC = "ndcg@10"
FULL = "full"
WITHHELD_SHARE, CHOOSING_SHARE = 0.2, 0.1
# Relations that are no knowledge: what people did, what items are about, what texts say.
NO_KNOWLEDGE = frozenset({"interacted", "disliked", "has_interest", "about", "within", "similar", "friend"})


@dataclass(frozen=True)
class Variant:
    """A hybrid that may not see something, or lacks a model or a stage."""

    view: View = lambda inputs: inputs
    change: Callable[[PipelineConfig], PipelineConfig] = lambda config: config


def without_text(inputs: ModelInputs) -> ModelInputs:
    """No item has a text vector."""
    return replace(inputs, text_ID=np.zeros_like(inputs.text_ID))


def without_edges(is_left_out: Callable[[EdgeType], bool]) -> View:
    """The graph without some types of edges."""

    def view(inputs: ModelInputs) -> ModelInputs:
        kept = {edge_type: edges for edge_type, edges in inputs.graph.edges.items() if not is_left_out(edge_type)}
        return replace(inputs, graph=InterestGraph(inputs.graph.vocabularies, kept))

    return view


def without_models(*names: str) -> Callable[[PipelineConfig], PipelineConfig]:
    """A hybrid of the other models."""
    return lambda config: with_hybrid(config, models=tuple(name for name in config.hybrid.models if name not in names))


def with_hybrid(config: PipelineConfig, **changes: object) -> PipelineConfig:
    """Other settings of the hybrid; a copy, so that a hybrid without the network can be measured too."""
    return config.model_copy(update={"hybrid": config.hybrid.model_copy(update=changes)})


VARIANTS: Mapping[str, Variant] = {
    FULL: Variant(),
    "text": Variant(view=without_text),
    "interests": Variant(view=without_edges(lambda edge: "interest" in (edge.source, edge.target))),
    "knowledge": Variant(view=without_edges(lambda edge: edge.relation not in NO_KNOWLEDGE)),
    "communities": Variant(change=without_models(CommunityPopularity.name)),
    "sequence": Variant(view=lambda inputs: replace(inputs, age_UI=None), change=without_models(Transitions.name)),
    "ranker": Variant(change=lambda config: with_hybrid(config, max_trees=0)),
    "graph neural network": Variant(change=without_models(InterestGNN.name)),
}

OF_KNOWLEDGE = (FULL, "knowledge")


def main(options: Options) -> None:
    """Measure every set that is here; quick: the bundled sample alone, one window."""
    rows: list[Row] = []
    timed: dict[str, Path | None] = {"shop": None} | ({} if options.quick else real_dataset_files(TIMED_SETS))
    for name, dataset_file in asked(timed, options=options).items():
        windows = windows_of(tables_of(dataset_file), measure=measure, most=1 if options.quick else MOST_WINDOWS)
        rows += _rows(name, windows, protocol="one clock")
    timeless = {} if options.quick else real_dataset_files(TIMELESS_SETS)
    for name, dataset_file in asked(timeless, options=options).items():
        rows += _rows(name, [measure_withheld(tables_of(dataset_file), PipelineConfig())], protocol="a fifth withheld")
    publish("ablations", rows, options=options, notes=["lost: ndcg@10 of the full hybrid minus without the part, paired by user, 95%"])


def measure(tables: TrainingTables, split: TimeSplit, config: PipelineConfig) -> Window:
    """Every variant on one test window."""
    inputs = tables.inputs(config=config, as_of=split.test_start)
    truth = held_out(tables.interactions, inputs=inputs, start=split.test_start, end=split.end)
    models: dict[str, Scorer] = {
        name: fit_hybrid(tables, split=split, inputs=inputs, config=variant.change(config), view=variant.view)
        for name, variant in VARIANTS.items()
    }
    evaluation = evaluate(models, inputs=inputs, truth=truth, config=config.evaluation)
    return Window(inputs.users.take(evaluation.user_index).to_pylist(), evaluation, {})


def measure_withheld(tables: TrainingTables, config: PipelineConfig) -> Window:
    """With and without knowledge where nothing has a time: on pairs withheld at random, chosen on others.

    Withheld pairs are taken out of the interactions, so that interests and graph do not know of them either.
    """
    rng = np.random.default_rng(config.evaluation.seed)
    everything = tables.inputs(config=config, as_of=end_of(tables))
    known_UI, asked_UI = withhold(everything.positives_UI, share=WITHHELD_SHARE, rng=rng)
    _, chosen_UI = withhold(known_UI, share=CHOOSING_SHARE, rng=rng)
    without_test = without_pairs(tables, asked_UI, inputs=everything)
    inputs = without_test.inputs(config=config, as_of=end_of(tables))
    early = without_pairs(without_test, chosen_UI, inputs=everything).inputs(config=config, as_of=end_of(tables))
    models: dict[str, Scorer] = {
        name: _fit_withheld(VARIANTS[name], early=early, inputs=inputs, chosen_UI=chosen_UI, config=config) for name in OF_KNOWLEDGE
    }
    truth = Truth(asked_UI.astype(bool), num_unknown_users=0, num_unknown_items=0)
    evaluation = evaluate(models, inputs=inputs, truth=truth, config=config.evaluation)
    return Window(inputs.users.take(evaluation.user_index).to_pylist(), evaluation, {})


def _fit_withheld(variant: Variant, *, early: ModelInputs, inputs: ModelInputs, chosen_UI: sp.csr_array, config: PipelineConfig) -> Hybrid:
    settings = variant.change(config)
    tuned = Hybrid.of(settings.hybrid, model=settings.model)
    tuned.fit(variant.view(early), rng=rng_of(config), validation_UI=chosen_UI.astype(bool))
    network = tuned.gnn.chosen_config if tuned.gnn else settings.model
    model = Hybrid.of(settings.hybrid, model=network, choices=tuned.choices)
    return model.fit(variant.view(inputs), rng=rng_of(config))


def without_pairs(tables: TrainingTables, pairs_UI: sp.csr_array, *, inputs: ModelInputs) -> TrainingTables:
    """The tables without any interaction of these pairs. Raises `ValueError` where that would lose a user altogether."""
    user_N = inputs.users.positions(tables.interactions.column("user_id"))
    item_N = inputs.items.positions(tables.interactions.column("item_id"))
    is_kept_N = np.asarray(pairs_UI[user_N, item_N] == 0).reshape(-1)
    if tables.text_interests.num_rows:
        raise ValueError("users wrote of items here, which would tell of withheld pairs; withhold only where nobody wrote anything")
    if len(np.unique(user_N[is_kept_N])) != len(np.unique(user_N)):
        raise ValueError("somebody has no interaction left; withhold a share that leaves everybody one")
    return replace(tables, interactions=tables.interactions.filter(pa.array(is_kept_N)))


def end_of(tables: TrainingTables) -> datetime:
    """Just after the last event."""
    last: datetime = pc.max(tables.interactions.column("last_event_at")).as_py()
    return last + timedelta(microseconds=1)


def _rows(name: str, windows: list[Window], *, protocol: str) -> list[Row]:
    return [
        {
            "data set": name,
            "protocol": protocol,
            "without": model if model != FULL else "nothing",
            "windows": len(windows),
            "users": tested_users(windows),
            METRIC: interval(windows, metric=METRIC, model=model),
            "lost": interval(windows, metric=METRIC, model=FULL, other=model) if model != FULL else None,
        }
        for model in windows[0].evaluation.per_user
    ]


if __name__ == "__main__":
    main(parse_options(__doc__))
