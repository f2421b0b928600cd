"""A day's candidate: our model fitted up to three times, each time knowing only what it may.

1. On what was known before the validation slice, stopping early against that slice.
2. On everything before the test, with what step 1 chose: the model that is measured.
3. On everything, with the same: the model that would be released.

A day between two full fits takes the last one's choices and weights instead of step 1, and
trains on for a few epochs: its measured model starts from the one that was measured then,
so no test is ever trained on. How good it is is measured in `ml.training.trial`.
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
from ml.config.pipeline import ModelConfig
from ml.contracts.files import write_parquet, write_text
from ml.epochs.course import Epoch
from ml.errors import EvaluationError, ReleaseError
from ml.evaluation.split import TimeSplit, global_time_split
from ml.evaluation.truth import held_out
from ml.graph.edge_types import SIMILAR, WITHIN
from ml.ids import IntArray, Vocabulary
from ml.models.hybrid.choices import Choices
from ml.models.hybrid.hybrid import Hybrid
from ml.models.inputs import ModelInputs
from ml.training.inputs import build_inputs

Progress = Callable[[int, int], None]

_ABOUT = "candidate.json"
_RELEASED, _EVALUATED = "model", "evaluation_model"


@dataclass(frozen=True)
class TrainingTables:
    """The tables a model is made of; interactions are the history through the day, the last two may be left out."""

    interactions: pa.Table
    items: pa.Table
    item_embeddings: pa.Table
    item_interests: pa.Table
    text_interests: pa.Table
    knowledge_graph: pa.Table
    review_signals: pa.Table | None = None
    interest_points: pa.Table | None = None

    def inputs(self, *, config: PipelineConfig, as_of: datetime) -> ModelInputs:
        """What a model may know at `as_of`."""
        return build_inputs(
            self.interactions,
            items=self.items,
            item_embeddings=self.item_embeddings,
            item_interests=self.item_interests,
            text_interests=self.text_interests,
            knowledge_graph=self.knowledge_graph,
            interests=config.interests,
            graph=config.graph,
            as_of=as_of,
            review_signals=self.review_signals,
            reviews=config.reviews,
            # What a part implies goes without saying only to who looks along the hierarchy.
            interest_points=None if WITHIN.relation in config.model.excluded_relations else self.interest_points,
            with_similar=SIMILAR.relation not in config.model.excluded_relations,
        )


@dataclass(frozen=True)
class FittedModel:
    """A fitted model and what its positions stand for. `num_likes_U` counts the likes it learned from, shape [U]."""

    model: Hybrid
    users: Vocabulary
    items: Vocabulary
    num_likes_U: IntArray
    as_of: datetime


@dataclass(frozen=True)
class Candidate:
    """The model to release, the one to measure, where time was cut, and how training went."""

    released: FittedModel
    evaluated: FittedModel
    split: TimeSplit
    history: tuple[Epoch, ...]
    last_full_fit: datetime | None = None


@dataclass(frozen=True)
class NoCandidate:
    """A day with too little history to train and measure on, and why: the state of every young shop, not a failure."""

    reason: str


TrainingOutcome = Candidate | NoCandidate


def train_candidate(
    tables: TrainingTables,
    *,
    config: PipelineConfig,
    as_of: datetime,
    last_full_fit: TrainingOutcome | None = None,
    checkpoints: Path | None = None,
    progress: Progress | None = None,
) -> TrainingOutcome:
    """Fit a candidate on what was known at `as_of`, if that can be cut into training, validation and test.

    `last_full_fit` is the candidate to start from; without one that trained, where late events
    have moved its test behind ours, and where other models are pooled, everything is fitted from nothing. With `checkpoints` (a folder)
    a fit that was killed goes on where it was, to the same bits.
    """
    try:
        split = global_time_split(tables.interactions, config=config.evaluation)
    except EvaluationError as error:
        return NoCandidate(str(error))
    trainer = _Trainer(tables, config, checkpoints, progress)
    if isinstance(last_full_fit, Candidate) and _can_start_from(last_full_fit, config=config, split=split):
        return trainer.warm(last_full_fit, split=split, as_of=as_of)
    return trainer.full(split=split, as_of=as_of)


def _can_start_from(last: Candidate, *, config: PipelineConfig, split: TimeSplit) -> bool:
    """Whether it knows nothing of this test, and pooled the same models."""
    return last.evaluated.as_of <= split.test_start and set(last.released.model.models) == set(config.hybrid.models)


@dataclass(frozen=True)
class _Trainer:
    """The fits of one candidate over one day's tables."""

    tables: TrainingTables
    config: PipelineConfig
    checkpoints: Path | None
    progress: Progress | None

    def full(self, *, split: TimeSplit, as_of: datetime) -> Candidate:
        """Choose on the validation slice, then fit twice from nothing."""
        early = self.tables.inputs(config=self.config, as_of=split.validation_start)
        validation = held_out(self.tables.interactions, inputs=early, start=split.validation_start, end=split.test_start)
        tuned = Hybrid.of(self.config.hybrid, model=self.config.model).fit(
            early,
            rng=_rng(self.config),
            validation_UI=validation.relevant_UI,
            progress=self.progress,
            checkpoints=self._checkpoints("tuned"),
        )
        network = tuned.gnn.chosen_config if tuned.gnn else self.config.model
        released = self._fit(_RELEASED, as_of, network=network, choices=tuned.choices)
        evaluated = self._fit(_EVALUATED, split.test_start, network=network, choices=tuned.choices)
        return Candidate(released, evaluated, split, tuned.history)

    def warm(self, last: Candidate, *, split: TimeSplit, as_of: datetime) -> Candidate:
        """Train the last full fit's two graph neural networks on for a few epochs each; the other models are fitted anew."""
        gnn = last.released.model.gnn
        network = (gnn.config if gnn else self.config.model).model_copy(update={"epochs": self.config.model.warm_epochs})
        choices = last.released.model.choices
        released = self._fit(_RELEASED, as_of, network=network, choices=choices, start=last.released)
        evaluated = self._fit(_EVALUATED, split.test_start, network=network, choices=choices, start=last.evaluated)
        for fitted in (released, evaluated):
            # Days start from full fits only: nobody will ask for these.
            fitted.model.forget_network_state()
        return Candidate(released, evaluated, split, evaluated.model.history, last.released.as_of)

    def _fit(self, name: str, moment: datetime, *, network: ModelConfig, choices: Choices, start: FittedModel | None = None) -> FittedModel:
        inputs = self.tables.inputs(config=self.config, as_of=moment)
        model = Hybrid.of(self.config.hybrid, model=network, choices=choices).fit(
            inputs,
            rng=_rng(self.config),
            progress=self.progress,
            start=start.model.gnn.network_state if start and start.model.gnn else None,
            checkpoints=self._checkpoints(name),
        )
        return FittedModel(model, inputs.users, inputs.items, np.diff(inputs.positives_UI.indptr).astype(np.int64), moment)

    def _checkpoints(self, name: str) -> Path | None:
        return self.checkpoints / name if self.checkpoints else None


def save_candidate(candidate: TrainingOutcome, directory: Path) -> None:
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


def load_candidate(directory: Path) -> TrainingOutcome:
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
        model=Hybrid.load(folder),
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
