"""A day's candidate: our model fitted three times, each time knowing only what it may.

1. On what was known before the validation slice, stopping early against that slice.
2. On everything before the test, with what step 1 chose: the model that is measured.
3. On everything, with the same: the model that would be released.

What is measured, and whether it goes live, is `ml.training.trial`.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ml.config import PipelineConfig
from ml.contracts.files import write_parquet, write_text
from ml.errors import EvaluationError, ReleaseError
from ml.evaluation.truth import held_out
from ml.ids import IntArray, Vocabulary
from ml.models.fitting import Epoch
from ml.models.inputs import ModelInputs
from ml.models.interest_gnn import InterestGNN
from ml.training.inputs import build_inputs
from ml.training.split import TimeSplit, global_time_split

Progress = Callable[[int, int], None]

_ABOUT = "candidate.json"
_RELEASED, _EVALUATED = "model", "evaluation_model"


@dataclass(frozen=True)
class TrainingTables:
    """The tables a model is made of; interactions are the history through the day."""

    interactions: pa.Table
    items: pa.Table
    item_embeddings: pa.Table
    item_interests: pa.Table
    knowledge_graph: pa.Table

    def inputs(self, *, config: PipelineConfig, as_of: datetime) -> ModelInputs:
        """What a model may know at `as_of`."""
        return build_inputs(
            self.interactions,
            items=self.items,
            item_embeddings=self.item_embeddings,
            item_interests=self.item_interests,
            knowledge_graph=self.knowledge_graph,
            interests=config.interests,
            graph=config.graph,
            as_of=as_of,
        )


@dataclass(frozen=True)
class FittedModel:
    """A fitted model and what its positions stand for. `num_likes_U` counts the likes it learned from, shape [U]."""

    model: InterestGNN
    users: Vocabulary
    items: Vocabulary
    num_likes_U: IntArray
    as_of: datetime


class TrainingOutcome:
    """What training a day came to: a `Candidate`, or `NoCandidate` and why."""


@dataclass(frozen=True)
class Candidate(TrainingOutcome):
    """The model to release, the one to measure, where time was cut, and how training went."""

    released: FittedModel
    evaluated: FittedModel
    split: TimeSplit
    history: tuple[Epoch, ...]


@dataclass(frozen=True)
class NoCandidate(TrainingOutcome):
    """A day with too little history to train and measure on, and why: the state of every young shop, not a failure."""

    reason: str


def train_candidate(
    tables: TrainingTables, *, config: PipelineConfig, as_of: datetime, progress: Progress | None = None
) -> Candidate | NoCandidate:
    """Fit a candidate on what was known at `as_of`, if that can be cut into training, validation and test."""
    try:
        split = global_time_split(tables.interactions, config=config.evaluation)
    except EvaluationError as error:
        return NoCandidate(str(error))
    early = tables.inputs(config=config, as_of=split.validation_start)
    validation = held_out(tables.interactions, inputs=early, start=split.validation_start, end=split.test_start)
    tuned = InterestGNN(config.model).fit(early, rng=_rng(config), validation_UI=validation.relevant_UI, progress=progress)

    def refit(moment: datetime) -> FittedModel:
        inputs = tables.inputs(config=config, as_of=moment)
        model = InterestGNN(tuned.chosen_config).fit(inputs, rng=_rng(config), progress=progress)
        return FittedModel(model, inputs.users, inputs.items, np.diff(inputs.positives_UI.indptr).astype(np.int64), moment)

    return Candidate(released=refit(as_of), evaluated=refit(split.test_start), split=split, history=tuned.history)


def save_candidate(candidate: Candidate | NoCandidate, directory: Path) -> None:
    """Write a candidate, or why there is none; equal candidates give equal bytes."""
    if isinstance(candidate, NoCandidate):
        write_text(json.dumps({"no_candidate": candidate.reason}, ensure_ascii=False), directory / _ABOUT)
        return
    for name, fitted in ((_RELEASED, candidate.released), (_EVALUATED, candidate.evaluated)):
        _save_fitted(fitted, directory / name)
    about = {
        "split": {name: moment.isoformat() for name, moment in asdict(candidate.split).items()},
        "history": [asdict(epoch) for epoch in candidate.history],
    }
    write_text(json.dumps(about, indent=2), directory / _ABOUT)


def load_candidate(directory: Path) -> Candidate | NoCandidate:
    """What `save_candidate` wrote; raises `ReleaseError` where it wrote nothing."""
    about = _read_json(directory / _ABOUT)
    if "no_candidate" in about:
        return NoCandidate(about["no_candidate"])
    return Candidate(
        released=load_fitted(directory),
        evaluated=load_fitted(directory, name=_EVALUATED),
        split=TimeSplit(**{name: datetime.fromisoformat(moment) for name, moment in about["split"].items()}),
        history=tuple(Epoch(**epoch) for epoch in about["history"]),
    )


def load_fitted(directory: Path, *, name: str = _RELEASED) -> FittedModel:
    """The released model of a candidate or release directory, or its `evaluation_model`."""
    folder = directory / name
    users = pq.read_table(folder / "users.parquet")
    return FittedModel(
        model=InterestGNN.load(folder),
        users=Vocabulary("user", users.column("user_id")),
        items=Vocabulary("item", pq.read_table(folder / "items.parquet").column("item_id")),
        num_likes_U=np.asarray(users.column("num_likes"), dtype=np.int64),
        as_of=datetime.fromisoformat(_read_json(folder / "as_of.json")["as_of"]),
    )


def load_evaluated(directory: Path) -> FittedModel:
    """The model of a release that was measured: it has not seen the release's own test."""
    return load_fitted(directory, name=_EVALUATED)


def _save_fitted(fitted: FittedModel, folder: Path) -> None:
    fitted.model.save(folder)
    write_parquet(pa.table({"user_id": fitted.users.ids, "num_likes": fitted.num_likes_U}), folder / "users.parquet")
    write_parquet(pa.table({"item_id": fitted.items.ids}), folder / "items.parquet")
    write_text(json.dumps({"as_of": fitted.as_of.isoformat()}), folder / "as_of.json")


def _read_json(path: Path) -> Mapping[str, Any]:
    if not path.exists():
        raise ReleaseError(f"{path} is missing: no candidate was completed there; train its day again")
    content: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def _rng(config: PipelineConfig) -> np.random.Generator:
    return np.random.default_rng(config.model.seed)
