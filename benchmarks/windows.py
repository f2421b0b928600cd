"""Test windows of a data set under one clock, and figures averaged over them; nothing here knows which models are asked.

Tables come from `interest-graph run`, in INTEREST_GRAPH_HOME where that is set (a finished run is reused) and else in a
home of its own. Shapes: T tested users.
"""

import json
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import scipy.sparse as sp

from benchmarks.intervals import with_interval
from benchmarks.program import dataset_option, environment, run_program
from benchmarks.report import Cost
from ml.config import PipelineConfig
from ml.contracts import CONTRACTS
from ml.contracts.contract import TIMESTAMP
from ml.contracts.store import TableStore
from ml.evaluation.harness import Evaluation
from ml.evaluation.metrics import MetricArray
from ml.evaluation.split import TimeSplit, global_time_split
from ml.evaluation.truth import held_out
from ml.models.gnn.interest_gnn import InterestGNN
from ml.models.gnn.lightgcn import LightGCN
from ml.models.hybrid.hybrid import Hybrid
from ml.models.inputs import ModelInputs
from ml.training.candidate import TrainingTables

# Windows are added until a set has this many tested user-windows, but no more than that many windows.
ENOUGH_USERS, MOST_WINDOWS = 150, 5

# In the order of the fields of `TrainingTables`, behind the interactions.
SNAPSHOTS = ("items", "item_embeddings", "item_interests", "text_interests", "knowledge_graph", "review_signals", "interest_points")

View = Callable[[ModelInputs], ModelInputs]
Network = InterestGNN | LightGCN


@dataclass(frozen=True)
class Window:
    """One test window: who was tested, how every model did, what fitting cost."""

    user_ids: Sequence[str]
    evaluation: Evaluation
    costs: Mapping[str, Cost]


def tables_of(dataset_file: Path | None) -> TrainingTables:
    """The tables of the newest day of a data set, made by the main job; None is the bundled sample."""
    with tempfile.TemporaryDirectory() as own_home:
        home = os.environ.get("INTEREST_GRAPH_HOME", own_home)
        finished = run_program("run", "--json", *dataset_option(dataset_file), environ=environment(home))
        if finished.code != 0:
            raise RuntimeError(finished.log[-2000:])
        made = json.loads(finished.out)
        store, day = TableStore(Path(made["places"]["tables"])), date.fromisoformat(made["day"])
        snapshots = [store.read(CONTRACTS[name], day=day) for name in SNAPSHOTS]
        return TrainingTables(store.read_history(CONTRACTS["interactions"], through=day), *snapshots)


def windows_of(
    tables: TrainingTables, *, measure: Callable[[TrainingTables, TimeSplit, PipelineConfig], Window], most: int = MOST_WINDOWS
) -> list[Window]:
    """The newest test window, and earlier ones while there are too few users: each knows only what came before it."""
    config = PipelineConfig()
    found: list[Window] = []
    while len(found) < most and sum(len(window.user_ids) for window in found) < ENOUGH_USERS:
        split = global_time_split(tables.interactions, config=config.evaluation)
        found.append(measure(tables, split, config))
        before = pc.less(tables.interactions.column("last_event_at"), pa.scalar(split.test_start, TIMESTAMP))
        tables = replace(tables, interactions=tables.interactions.filter(before))
    return found


def fit_hybrid(
    tables: TrainingTables, *, split: TimeSplit, inputs: ModelInputs, config: PipelineConfig, view: View = lambda inputs: inputs
) -> Hybrid:
    """As `train_candidate` does: choose on the validation slice, then fit on everything before the test.

    `view` changes what is known, in both fits alike.
    """
    early, validation_UI = validation_slice(tables, split=split, config=config)
    tuned = Hybrid.of(config.hybrid, model=config.model).fit(view(early), rng=rng_of(config), validation_UI=validation_UI)
    network = tuned.gnn.chosen_config if tuned.gnn else config.model
    return Hybrid.of(config.hybrid, model=network, choices=tuned.choices).fit(view(inputs), rng=rng_of(config))


def fit_network(model: Network, tables: TrainingTables, *, split: TimeSplit, inputs: ModelInputs, config: PipelineConfig) -> Network:
    """A network by itself, as `fit_hybrid` fits the one in the pool: epochs and correction chosen on the validation slice."""
    early, validation_UI = validation_slice(tables, split=split, config=config)
    model.fit(early, rng=rng_of(config), validation_UI=validation_UI)
    return model.as_chosen().fit(inputs, rng=rng_of(config))


def validation_slice(tables: TrainingTables, *, split: TimeSplit, config: PipelineConfig) -> tuple[ModelInputs, sp.csr_array]:
    """What is known before the slice, and the new likes in it that are chosen by, [U, I]."""
    early = tables.inputs(config=config, as_of=split.validation_start)
    return early, held_out(tables.interactions, inputs=early, start=split.validation_start, end=split.test_start).relevant_UI


def rng_of(config: PipelineConfig) -> np.random.Generator:
    """The generator that a fit starts from."""
    return np.random.default_rng(config.model.seed)


def interval(windows: Sequence[Window], *, metric: str, model: str, other: str | None = None) -> str:
    """Mean figure of a model, or its lead over another paired by user, with its interval."""
    figures = mean_by_user(windows, metric=metric, model=model)
    if other is None:
        return with_interval(figures)
    return with_interval(figures - mean_by_user(windows, metric=metric, model=other), sign="+")


def mean_by_user(windows: Sequence[Window], *, metric: str, model: str) -> MetricArray:
    """Each user's mean over the windows they were tested in, so that resampling users keeps a user's windows together."""
    user, position = np.unique(np.concatenate([window.user_ids for window in windows]), return_inverse=True)
    figures = np.concatenate([window.evaluation.per_user[model][metric] for window in windows])
    return np.bincount(position, weights=figures, minlength=len(user)) / np.bincount(position, minlength=len(user))


def tested_users(windows: Sequence[Window]) -> int:
    """Users tested in any window."""
    return len({user for window in windows for user in window.user_ids})
