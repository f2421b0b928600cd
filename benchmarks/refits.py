"""What a day between two full fits loses, and what it saves: the same test by a fit from nothing and by days that start from one before.

Each window's day is fitted from nothing, and again as a day `DAYS_APART` after a full fit: everything taken over from it
(`kept`), or the networks alone and the pool's weights and ranker chosen anew (`chosen anew`). To tell what the loss is of, also the day's
own networks with the older choices, and the other way round. Every way is measured on the same users; a user's windows are averaged.

python -m benchmarks.refits [--quick] [--only NAME ...] [--json FILE]
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.program import real_dataset_files
from benchmarks.report import Cost, Options, Row, asked, costed, parse_options, publish
from benchmarks.windows import MOST_WINDOWS, Window, interval, rng_of, tables_of, tested_users, validation_slice, windows_of
from ml.config import PipelineConfig
from ml.config.pipeline import ModelConfig
from ml.contracts.contract import TIMESTAMP
from ml.evaluation.harness import evaluate
from ml.evaluation.rankings import Scorer
from ml.evaluation.split import TimeSplit, global_time_split
from ml.evaluation.truth import held_out
from ml.models.gnn.network_state import NetworkState
from ml.models.hybrid.choices import Choices
from ml.models.hybrid.hybrid import Hybrid
from ml.training.candidate import TrainingTables

REAL_SETS = ("movielens", "douban-zh")
DAYS_APART = 3
METRIC = "ndcg@10"
FULL = "full fit"


def main(options: Options) -> None:
    """Measure every set that is here; quick: the bundled sample alone, one window."""
    sets: dict[str, Path | None] = {"shop": None} | ({} if options.quick else real_dataset_files(REAL_SETS))
    rows: list[Row] = []
    for name, dataset_file in asked(sets, options=options).items():
        windows = windows_of(tables_of(dataset_file), measure=_measure, most=1 if options.quick else MOST_WINDOWS)
        rows += [_row(name, way=way, windows=windows) for way in windows[0].costs]
    publish("refits", rows, options=options, notes=["95%, bootstrap over users; fits per day: choosing and the model that is measured"])


@dataclass(frozen=True)
class Fits:
    """A day's two fits: the one that chose, and the one that is measured."""

    tuned: Hybrid
    evaluated: Hybrid


def _measure(tables: TrainingTables, split: TimeSplit, config: PipelineConfig) -> Window:
    before = pc.less(tables.interactions.column("last_event_at"), pa.scalar(split.end - timedelta(days=DAYS_APART), TIMESTAMP))
    older = replace(tables, interactions=tables.interactions.filter(before))
    last = _fits(older, global_time_split(older.interactions, config=config.evaluation), config=config)
    costs: dict[str, Cost] = {}
    ways: dict[str, Hybrid] = {}
    with costed() as costs[FULL]:
        full = _fits(tables, split, config=config)
    ways[FULL] = full.evaluated
    network = full.tuned.gnn.chosen_config if full.tuned.gnn else config.model
    with costed() as costs["own networks, older choices"]:
        ways["own networks, older choices"] = _fit(tables, split.test_start, config=config, network=network, choices=last.tuned.choices)
    warm = (last.tuned.gnn.chosen_config if last.tuned.gnn else config.model).model_copy(update={"epochs": config.model.warm_epochs})
    with costed() as costs["kept"]:
        ways["kept"] = _fit(tables, split.test_start, config=config, network=warm, choices=last.tuned.choices, start=last.evaluated)
    with costed() as costs["older networks, own choices"]:
        ways["older networks, own choices"] = _fit(
            tables, split.test_start, config=config, network=warm, choices=full.tuned.choices, start=last.evaluated
        )
    with costed() as costs["chosen anew"]:
        ways["chosen anew"] = _fits(tables, split, config=config, network=warm, start=last).evaluated
    inputs = tables.inputs(config=config, as_of=split.test_start)
    truth = held_out(tables.interactions, inputs=inputs, start=split.test_start, end=split.end)
    models: Mapping[str, Scorer] = ways
    evaluation = evaluate(models, inputs=inputs, truth=truth, config=config.evaluation)
    return Window(inputs.users.take(evaluation.user_index).to_pylist(), evaluation, costs)


def _fits(
    tables: TrainingTables, split: TimeSplit, *, config: PipelineConfig, network: ModelConfig | None = None, start: Fits | None = None
) -> Fits:
    """Choose on the validation slice, from nothing or from the older fits' networks, then fit what is measured."""
    early, validation_UI = validation_slice(tables, split=split, config=config)
    tuned = Hybrid.of(config.hybrid, model=network or config.model).fit(
        early, rng=rng_of(config), validation_UI=validation_UI, start=_state(start.tuned if start else None)
    )
    chosen = network or (tuned.gnn.chosen_config if tuned.gnn else config.model)
    evaluated = _fit(
        tables, split.test_start, config=config, network=chosen, choices=tuned.choices, start=start.evaluated if start else None
    )
    return Fits(tuned, evaluated)


def _fit(
    tables: TrainingTables,
    moment: datetime,
    *,
    config: PipelineConfig,
    network: ModelConfig,
    choices: Choices,
    start: Hybrid | None = None,
) -> Hybrid:
    inputs = tables.inputs(config=config, as_of=moment)
    return Hybrid.of(config.hybrid, model=network, choices=choices).fit(inputs, rng=rng_of(config), start=_state(start))


def _state(hybrid: Hybrid | None) -> NetworkState | None:
    return hybrid.gnn.network_state if hybrid and hybrid.gnn else None


def _row(name: str, *, way: str, windows: list[Window]) -> Row:
    return {
        "data set": name,
        "way": way,
        "windows": len(windows),
        "users": tested_users(windows),
        METRIC: interval(windows, metric=METRIC, model=way),
        "minus a full fit": interval(windows, metric=METRIC, model=way, other=FULL) if way != FULL else None,
        "cpu s": float(np.mean([window.costs[way].timing.cpu_seconds for window in windows])),
    }


if __name__ == "__main__":
    main(parse_options(__doc__))
