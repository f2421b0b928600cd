"""A search over settings on the validation slice, and whether its best is better beyond doubt.

The profile's own settings are the first trial. The best of many looks better than it is, so it is judged on users
it was not chosen by, by the one-standard-error rule, and again from another seed. Where trials are kept is
`ml.training.studies`, what they fit `ml.training.validated`.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import optuna
from optuna.trial import Trial

from ml.config import PipelineConfig
from ml.config.changes import changed, setting
from ml.config.ranges import Range, Setting
from ml.epochs.course import Epoch
from ml.errors import InterestGraphError, SearchError
from ml.models.validation import Lead, lead_over
from ml.training.figures import Figures
from ml.training.studies import Attempt, Study
from ml.training.validated import FitAndValidate

# What a fit of odd settings may end in: settings that do not go together, scores that are not finite, no memory.
_FAILURES = (InterestGraphError, ValueError, ArithmeticError, RuntimeError, MemoryError)
# Importances of fewer trials are noise.
_MIN_TRIALS_FOR_IMPORTANCES = 5

EpochHeard = Callable[[str, Epoch], None]
AttemptHeard = Callable[[Attempt], None]


class _TimeUpError(Exception):
    """Ends the trial under way, which is tried again when the search goes on."""


@dataclass(frozen=True)
class Verdict:
    """Whether the best trial is better than the profile beyond doubt, to the `num_users` held out from the search.

    `lead` is on the search's seed, `again` from another one.
    """

    best: Attempt
    profile: Attempt
    changes: Mapping[str, Setting]
    num_users: int
    lead: Lead
    again: Lead | None

    @property
    def holds(self) -> bool:
        """Whether the lead is beyond one standard error from both seeds."""
        return self.lead.is_beyond_error and self.again is not None and self.again.is_beyond_error


@dataclass(frozen=True)
class Searcher:
    """A search that goes on where its study is. `heard_epoch` is told of a fit's progress, `heard_attempt` of every trial's end."""

    fit: FitAndValidate
    base: PipelineConfig
    study: Study
    is_time_up: Callable[[], bool] = lambda: False
    heard_epoch: EpochHeard = lambda _what, _epoch: None
    heard_attempt: AttemptHeard = lambda _attempt: None

    def run(self, *, num_trials: int) -> list[Attempt]:
        """Try settings until there are `num_trials`, or time is up; the profile's own are tried whatever the time.

        Raises `SearchError` where the profile's own settings cannot be fitted.
        """
        for place in range(len(self.study.attempts()), num_trials):
            try:
                if place and self.is_time_up():
                    break
                self._try(place)
            except _TimeUpError:
                break
            self.heard_attempt(self.study.attempts()[-1])
        return self.study.attempts()

    def _try(self, place: int) -> None:
        trial, settings = self._own() if place == 0 else self._drawn(place)
        before = self.study.attempts()
        self.study.describe(trial, place=place, settings=settings)
        same = next((attempt for attempt in before if attempt.state == "complete" and attempt.settings == settings), None)
        try:
            figures = self.study.figures(same.place) if same else self._fitted(trial, place=place, settings=settings)
        except optuna.TrialPruned:
            self.study.prune(trial)
        except _FAILURES as error:
            if place == 0:
                raise SearchError(f"the profile's own settings cannot be fitted, so nothing can be held against them: {error}") from error
            self.study.fail(trial, reason=f"{type(error).__name__}: {error}")
        else:
            self.study.complete(trial, figures, place=place)

    def _own(self) -> tuple[Trial, dict[str, Setting]]:
        """The profile's settings, of which the sampler learns those that its ranges hold."""
        space = self.base.search.space
        settings = {name: setting(self.base, name) for name in space}
        inside = {name: value for name, value in settings.items() if space[name].holds(value)}
        trial = self.study.ask(0, given=inside)
        for name in inside:
            self._draw(trial, name)
        return trial, settings

    def _drawn(self, place: int) -> tuple[Trial, dict[str, Setting]]:
        trial = self.study.ask(place)
        return trial, {name: self._draw(trial, name) for name in self.base.search.space}

    def _draw(self, trial: Trial, name: str) -> Setting:
        return draw(trial, name, given=self.base.search.space[name], whole=isinstance(setting(self.base, name), int))

    def _fitted(self, trial: Trial, *, place: int, settings: Mapping[str, Setting]) -> Figures:
        def after_epoch(epoch: Epoch) -> None:
            self.heard_epoch(f"trial {place + 1}", epoch)
            if epoch.validation is not None:
                trial.report(epoch.validation, epoch.number)
            if trial.should_prune():
                raise optuna.TrialPruned
            if place and self.is_time_up():
                raise _TimeUpError

        return self.fit(changed(self.base, settings), after_epoch=after_epoch).figures

    def verdict(self) -> Verdict:
        """Hold the best trial against the profile on users held out: from the search's seed, where that looks like a gain from another."""
        complete = [attempt for attempt in self.study.attempts() if attempt.state == "complete"]
        profile, best = complete[0], max(complete, key=lambda attempt: attempt.figure or 0.0)
        usual_W = self.study.figures(profile.place).held_out_W
        lead = lead_over(self.study.figures(best.place).held_out_W, usual_W)
        again = lead_over(self._again(best).held_out_W, self._again(profile).held_out_W) if lead.is_beyond_error else None
        changes = {name: value for name, value in best.settings.items() if value != profile.settings[name]}
        return Verdict(best, profile, changes, len(usual_W), lead, again)

    def _again(self, attempt: Attempt) -> Figures:
        reseeded = changed(self.base, {**attempt.settings, "model.seed": self.base.model.seed + 1})
        what = f"trial {attempt.place + 1} from another seed"
        return self.study.checked(
            attempt.place, lambda: self.fit(reseeded, after_epoch=lambda epoch: self.heard_epoch(what, epoch)).figures
        )


def draw(trial: Trial, name: str, *, given: Range, whole: bool) -> Setting:
    """A value of a range; one of a continuous range has four digits, so that a profile reads well."""
    if given.choices is not None:
        chosen: Setting = trial.suggest_categorical(name, given.choices)
        return chosen
    low, high = float(given.low or 0), float(given.high or 0)
    if whole:
        return int(trial.suggest_int(name, int(low), int(_on_grid(low, high, given.step or 1)), step=int(given.step or 1), log=given.log))
    if given.step is not None:
        return float(trial.suggest_float(name, low, _on_grid(low, high, given.step), step=given.step))
    return min(max(float(f"{trial.suggest_float(name, low, high, log=given.log):.4g}"), low), high)


def importances(study: Study) -> dict[str, float]:
    """How much of the difference between trials each setting makes, in shares of 1 (PED-ANOVA); nothing where too few were measured."""
    measured = [attempt for attempt in study.attempts() if attempt.state == "complete"]
    if len(measured) < _MIN_TRIALS_FOR_IMPORTANCES or len({attempt.figure for attempt in measured}) < 2:
        return {}
    found: Mapping[str, Any] = optuna.importance.get_param_importances(
        study.optuna, evaluator=optuna.importance.PedAnovaImportanceEvaluator()
    )
    return {name: float(share) for name, share in found.items() if math.isfinite(share)}


def _on_grid(low: float, high: float, step: float) -> float:
    """The last value not above `high` that lies steps from `low`; in decimals, as people write them."""
    first, last, width = (Decimal(str(number)) for number in (low, high, step))
    return float(first + (last - first) // width * width)
