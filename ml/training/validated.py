"""A model fitted on what was known before the validation slice, and what it is worth there.

All that a search over settings knows of models is `FitAndValidate`; another model comes in
by another one. The test window is cut off the tables before anything else looks at them,
and every second validation user is held out from the fit.
"""

from collections.abc import Hashable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ml.config import PipelineConfig
from ml.config.pipeline import EvaluationConfig
from ml.contracts.contract import TIMESTAMP
from ml.epochs.course import AfterEpoch, Epoch
from ml.errors import EvaluationError
from ml.evaluation.split import global_time_split
from ml.evaluation.truth import held_out
from ml.models.gnn.interest_gnn import InterestGNN
from ml.models.inputs import ModelInputs
from ml.models.validation import Validation
from ml.training.candidate import TrainingTables
from ml.training.figures import Figures

# Two to be searched on and two to be judged by: one alone has no standard error.
_LEAST_USERS = 4


@dataclass(frozen=True)
class Validated:
    """What settings are worth to each validation user, and how training went."""

    figures: Figures
    history: tuple[Epoch, ...]


class FitAndValidate(Protocol):
    """Fits a model of some settings; what `after_epoch` raises comes out."""

    def __call__(self, config: PipelineConfig, *, after_epoch: AfterEpoch | None = None) -> Validated:
        """The figures of `config`; equal settings give equal figures."""
        ...


@dataclass(frozen=True)
class TablesBeforeTest:
    """Tables without a row of the test window, and from when on their newest rows are the validation slice."""

    tables: TrainingTables
    validation_start: datetime
    test_start: datetime


def before_test(tables: TrainingTables, *, config: EvaluationConfig) -> TablesBeforeTest:
    """Cut off every event from the test's start on. Raises `EvaluationError` where history is too short to be cut."""
    split = global_time_split(tables.interactions, config=config)
    signals = tables.review_signals
    known = replace(
        tables,
        interactions=_before(tables.interactions, "last_event_at", split.test_start),
        text_interests=_before(tables.text_interests, "event_at", split.test_start),
        review_signals=None if signals is None else _before(signals, "event_at", split.test_start),
    )
    return TablesBeforeTest(known, split.validation_start, split.test_start)


@dataclass(frozen=True)
class _View:
    """What a fit may know, and the validation users whose new likes it may look at, and may not."""

    inputs: ModelInputs
    searched: Validation
    held_out: Validation


class GnnOnValidation:
    """Our model, fitted as a candidate's first fit is: stopped early and corrected on the validation users that are searched on.

    Inputs are built again only where settings that they depend on change.
    """

    def __init__(self, known: TablesBeforeTest) -> None:
        self._known = known
        self._built_for: Hashable = None
        self._built: _View | None = None

    def __call__(self, config: PipelineConfig, *, after_epoch: AfterEpoch | None = None) -> Validated:
        """Raises `EvaluationError` where fewer than four users known before the validation slice liked anything new in it."""
        view = self._view(config)
        rng = np.random.default_rng(config.model.seed)
        model = InterestGNN(config.model).fit(view.inputs, rng=rng, validation_UI=view.searched.relevant_UI, after_epoch=after_epoch)
        return Validated(Figures(view.searched.ndcg(model.score), view.held_out.ndcg(model.score)), model.history)

    def _view(self, config: PipelineConfig) -> _View:
        wanted = (config.graph, config.interests, config.reviews, config.evaluation.seed)
        if self._built is None or self._built_for != wanted:
            # Two views of a large catalogue at once could be more than the machine holds.
            self._built = None
            self._built, self._built_for = self._build(config), wanted
        return self._built

    def _build(self, config: PipelineConfig) -> _View:
        known = self._known
        inputs = known.tables.inputs(config=config, as_of=known.validation_start)
        truth = held_out(known.tables.interactions, inputs=inputs, start=known.validation_start, end=known.test_start)
        rng = np.random.default_rng(config.evaluation.seed)
        validation = Validation.prepare(truth.relevant_UI, seen_UI=inputs.seen_UI, rng=rng)
        if len(validation) < _LEAST_USERS:
            raise EvaluationError(
                f"{len(validation)} user(s) known before {known.validation_start.isoformat()} liked anything new between then and "
                f"{known.test_start.isoformat()}: settings are chosen by one half of {_LEAST_USERS} at least and judged by the other; "
                "wait for more history, or raise evaluation.validation_share"
            )
        searched, judging = (validation.of(validation.user_index[first::2]) for first in (0, 1))
        return _View(inputs, searched, judging)


def _before(table: pa.Table, column: str, moment: datetime) -> pa.Table:
    return table.filter(pc.less(table.column(column), pa.scalar(moment, TIMESTAMP)))
