"""A search over settings on disk: what was tried, what it was worth, and what it was tried on.

A study is a folder named by all that decides its figures, so that other data or settings
begin another one and the old one stays. Optuna's journal (JSON lines) holds the trials, a Parquet
file each the figures of its users; both outlive a kill at any moment.
"""

import fcntl
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import optuna
import pyarrow.parquet as pq
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, Trial, TrialState

from ml.config.pipeline import SearchConfig
from ml.config.ranges import Setting
from ml.contracts.files import write_parquet, write_text
from ml.errors import SearchError
from ml.training.figures import Figures

State = Literal["complete", "pruned", "failed"]

_ABOUT_FILE, _JOURNAL_FILE = "study.json", "journal.jsonl"
# What a trial of ours carries in the journal.
_PLACE, _SETTINGS, _REASON = "place", "settings", "reason"
_STATES: dict[TrialState, State] = {TrialState.COMPLETE: "complete", TrialState.PRUNED: "pruned", TrialState.FAIL: "failed"}


@dataclass(frozen=True)
class Attempt:
    """One trial that ended: its settings, mean figure of the users searched on (pruned: the last epoch's), and why it failed if it did."""

    place: int
    settings: Mapping[str, Setting]
    state: State
    figure: float | None
    num_epochs: int
    reason: str | None


class Study:
    """An open study. Trials are counted by place, from 0; one that was killed leaves its place to the next."""

    def __init__(self, directory: Path, *, config: SearchConfig, news: str) -> None:
        self.directory = directory
        self.news = news
        self._config = config
        storage = JournalStorage(JournalFileBackend(str(directory / _JOURNAL_FILE)))
        pruner = optuna.pruners.MedianPruner(n_startup_trials=config.num_whole_trials, n_warmup_steps=2)
        self.optuna = optuna.create_study(study_name="settings", storage=storage, direction="maximize", pruner=pruner, load_if_exists=True)

    def attempts(self) -> list[Attempt]:
        """Trials that ended by themselves, by place."""
        ended = [trial for trial in self.optuna.get_trials(deepcopy=False) if trial.state in _STATES and _PLACE in trial.user_attrs]
        whole = [trial for trial in ended if trial.state != TrialState.FAIL or _REASON in trial.user_attrs]
        return sorted(map(_attempt, whole), key=lambda attempt: attempt.place)

    def end_killed(self) -> None:
        """End the trial that a killed search was at, begun or only announced; it counts as never tried."""
        for _ in self.optuna.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
            self.optuna.ask()
        for trial in self.optuna.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            self.optuna.tell(trial.number, state=TrialState.FAIL)

    def ask(self, place: int, *, given: Mapping[str, Setting] | None = None) -> Trial:
        """A trial at a place, beginning with the values `given`.

        What it draws depends on the seed, the place and the trials before alone, so a killed search goes on as it would have.
        """
        seed = int(np.random.SeedSequence((self._config.seed, place)).generate_state(1)[0])
        self.optuna.sampler = optuna.samplers.TPESampler(n_startup_trials=self._config.num_random_trials, seed=seed)
        if given is not None:
            self.optuna.enqueue_trial(dict(given))
        return self.optuna.ask()

    def describe(self, trial: Trial, *, place: int, settings: Mapping[str, Setting]) -> None:
        """Note where a trial stands and what it tries."""
        trial.set_user_attr(_PLACE, place)
        trial.set_user_attr(_SETTINGS, dict(settings))

    def complete(self, trial: Trial, figures: Figures, *, place: int) -> None:
        """End a trial that was measured; what is held out stays with the file, the search learns the mean of the others."""
        self._write(figures, name=str(place))
        self.optuna.tell(trial, float(figures.searched_V.mean()))

    def prune(self, trial: Trial) -> None:
        """End a trial that fell behind."""
        self.optuna.tell(trial, state=TrialState.PRUNED)

    def fail(self, trial: Trial, *, reason: str) -> None:
        """End a trial that could not be fitted."""
        trial.set_user_attr(_REASON, reason)
        self.optuna.tell(trial, state=TrialState.FAIL)

    def figures(self, place: int) -> Figures:
        """Of a trial that was measured."""
        return self._read(str(place))

    def checked(self, place: int, measure: Callable[[], Figures]) -> Figures:
        """Figures of a place's settings measured once more in another way; measured only the first time."""
        name = f"{place}-again"
        if not self._path(name).exists():
            self._write(measure(), name=name)
        return self._read(name)

    def _path(self, name: str) -> Path:
        return self.directory / "figures" / f"{name}.parquet"

    def _write(self, figures: Figures, *, name: str) -> None:
        write_parquet(figures.to_table(), self._path(name))

    def _read(self, name: str) -> Figures:
        return Figures.from_table(pq.read_table(self._path(name)))


@contextmanager
def open_study(folder: Path, *, made_from: Mapping[str, str], config: SearchConfig) -> Iterator[Study]:
    """The study in `folder` that was made from the same, or a new one beside those that were not; `news` says which and why.

    `made_from` names what decides a figure. Raises `SearchError` where another process is at it.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    content = json.dumps(dict(made_from), indent=1, sort_keys=True, ensure_ascii=False)
    directory = folder / hashlib.sha256(content.encode()).hexdigest()[:12]
    directory.mkdir(parents=True, exist_ok=True)
    with _alone(directory):
        news = _news(folder, directory=directory, made_from=made_from)
        write_text(content + "\n", directory / _ABOUT_FILE)
        _mend(directory / _JOURNAL_FILE)
        study = Study(directory, config=config, news=news)
        study.end_killed()
        yield study


def _news(folder: Path, *, directory: Path, made_from: Mapping[str, str]) -> str:
    if (directory / _ABOUT_FILE).exists():
        return "goes on with the study of the same data and settings"
    before = sorted(folder.glob(f"*/{_ABOUT_FILE}"), key=lambda path: path.stat().st_mtime)
    if not before:
        return "a new study"
    old = _read_json(before[-1])
    other = sorted(name for name in {*made_from, *old} if made_from.get(name) != old.get(name))
    return f"a new study: {', '.join(other)} changed since the last one, which stays in {before[-1].parent}"


def _read_json(path: Path) -> Mapping[str, Any]:
    content: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def _mend(journal: Path) -> None:
    """Take away what a killed process left: its lock, and a last line that it did not finish."""
    journal.with_name(f"{journal.name}.lock").unlink(missing_ok=True)
    if not journal.exists():
        return
    content = journal.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if whole != content:
        write_text(whole.decode("utf-8"), journal)


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Hold the study; the system frees it when the process ends, however it ends."""
    with (directory / "lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise SearchError(f"another search is at {directory}; let it end, then start this one again") from error
        yield


def _attempt(trial: FrozenTrial) -> Attempt:
    known = trial.user_attrs
    return Attempt(
        place=known[_PLACE],
        settings=known[_SETTINGS],
        state=_STATES[trial.state],
        figure=trial.value,
        num_epochs=len(trial.intermediate_values),
        reason=known.get(_REASON),
    )
