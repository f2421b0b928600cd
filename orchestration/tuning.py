"""Better settings for a profile, looked for on a finished day's tables; the best is written as a profile.

Reads tables of a day and keeps its studies below `search` in the dataset's home. What is tried
and what counts as better is `ml.training.search`.
"""

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from ml.config import PipelineConfig
from ml.config.changes import changed_content, setting
from ml.config.pipeline import SearchConfig
from ml.config.ranges import Setting
from ml.contracts.files import write_text
from ml.contracts.manifest import combined
from ml.contracts.outputs import RELEASE_DECISIONS
from ml.epochs.course import Epoch
from ml.errors import MissingTableError
from ml.training.candidate import TrainingTables
from ml.training.search import Searcher, Verdict, importances
from ml.training.studies import Attempt, Study, open_study
from ml.training.validated import GnnOnValidation, before_test
from orchestration.assets.model import TABLES
from orchestration.code_version import code_version
from orchestration.progress import Heartbeat
from orchestration.scope import Scope

# Sections of a profile that decide what a fit's figures are.
_DECIDING = ("model", "graph", "interests", "reviews", "evaluation")


@dataclass(frozen=True)
class Tuned:
    """What a search came to, and the profile that was written; None where the profile stands as it is."""

    day: date
    study: Path
    news: str
    attempts: list[Attempt]
    verdict: Verdict
    importances: Mapping[str, float]
    written: Path | None


def tune(scope: Scope, *, profile: Path, day: date | None, out: Path | None, log: Callable[[str], None]) -> Tuned:
    """Search as `scope.config.search` says, on the newest finished day by default; write the best where it is better beyond doubt.

    Raises `MissingTableError` where the day has no finished run.
    """
    when = _finished_day(scope, day)
    config = scope.config.search
    folder = scope.home.search / f"{profile.stem}-{when.isoformat()}"
    with Heartbeat(log) as heartbeat, open_study(folder, made_from=made_from(scope, day=when), config=config) as study:
        heartbeat.say(f"{study.directory}: {study.news}; {len(study.attempts())} of {config.num_trials} trials are there")
        heartbeat.note("reading the day's tables")
        searcher = _searcher(scope, study, day=when, heartbeat=heartbeat)
        attempts = searcher.run(num_trials=config.num_trials)
        verdict = searcher.verdict()
        default = study.directory / "profile.yaml"
        default.unlink(missing_ok=True)
        written = None
        if verdict.holds:
            written = write_text(tuned_profile(profile, verdict=verdict, story=_story(scope, study, when, verdict)), out or default)
        return Tuned(when, study.directory, study.news, attempts, verdict, importances(study), written)


def made_from(scope: Scope, *, day: date) -> dict[str, str]:
    """What decides the figures of a study on this day, by name; how many trials there are to be does not."""
    settings = scope.config.model_dump_json(include=set(_DECIDING))
    return {
        "dataset": scope.dataset.name,
        "day": day.isoformat(),
        "data": combined({name: scope.artefact(name).digest(day) for name in TABLES}),
        "settings": hashlib.sha256(settings.encode()).hexdigest(),
        "search": scope.config.search.model_dump_json(exclude={"num_trials", "timeout_minutes"}),
        "code": code_version("ml.training.search", settings=()),
    }


def tuned_profile(profile: Path, *, verdict: Verdict, story: str) -> str:
    """The profile's own content with what was found changed, as YAML; `story` heads it as a comment."""
    content: Mapping[str, Any] = yaml.safe_load(profile.read_text(encoding="utf-8")) or {}
    head = "".join(f"# {line}\n" for line in story.splitlines())
    body = yaml.safe_dump(
        changed_content(content, verdict.changes), sort_keys=False, allow_unicode=True, default_flow_style=None, width=140
    )
    return head + body


def setting_rows(tuned: Tuned, *, config: PipelineConfig) -> list[dict[str, Setting | None]]:
    """Every searched setting: the profile's value, the best one's, and how much it matters."""
    return [
        {
            "setting": name,
            "profile": setting(config, name),
            "best": tuned.verdict.best.settings[name],
            "importance": tuned.importances.get(name),
        }
        for name in sorted(config.search.space, key=lambda name: -tuned.importances.get(name, 0.0))
    ]


def conclusion(verdict: Verdict) -> str:
    """In a sentence, what the search came to."""
    if not verdict.changes:
        return "the profile stands: no trial was better than its own settings"
    found = f"trial {verdict.best.place + 1} leads by {_lead(verdict)} on {verdict.num_users} validation users it was not chosen by"
    if verdict.holds:
        return f"better: {found}"
    if verdict.again is None:
        return f"the profile stands: {found}, which is not beyond one standard error"
    return f"the profile stands: {found}, which another seed does not confirm"


def _finished_day(scope: Scope, day: date | None) -> date:
    days = scope.store.days(RELEASE_DECISIONS.name)
    if not days or (day and day not in days):
        wanted = day.isoformat() if day else "of any day"
        mend = f"a search needs a finished day: interest-graph run{f' --day {wanted}' if day else ''} first"
        raise MissingTableError(RELEASE_DECISIONS.name, wanted, [found.isoformat() for found in days], mend=mend)
    return day or days[-1]


def _searcher(scope: Scope, study: Study, *, day: date, heartbeat: Heartbeat) -> Searcher:
    config = scope.config.search
    tables = TrainingTables(*(scope.artefact(name).read(day) for name in TABLES))
    fit = GnnOnValidation(before_test(tables, config=scope.config.evaluation))
    heartbeat.note("building the first trial's inputs")
    return Searcher(
        fit,
        base=scope.config,
        study=study,
        is_time_up=_deadline(config),
        heard_epoch=lambda what, epoch: heartbeat.note(_epoch_line(what, epoch)),
        heard_attempt=lambda attempt: heartbeat.say(attempt_line(attempt, num_trials=config.num_trials)),
    )


def _deadline(config: SearchConfig) -> Callable[[], bool]:
    started = time.monotonic()
    limit = config.timeout_minutes
    return lambda: limit is not None and time.monotonic() - started > limit * 60


def _epoch_line(what: str, epoch: Epoch) -> str:
    figure = "" if epoch.validation is None else f", validation NDCG@10 {epoch.validation:.4f}"
    return f"{what}: epoch {epoch.number}{figure}"


def attempt_line(attempt: Attempt, *, num_trials: int) -> str:
    """A trial's end in a line."""
    came_to = {
        "complete": f"validation NDCG@10 {attempt.figure or 0.0:.4f}",
        "pruned": f"cut short at {attempt.figure or 0.0:.4f}",
        "failed": f"failed: {attempt.reason}",
    }[attempt.state]
    tried = "the profile's own settings" if attempt.place == 0 else ", ".join(f"{name} {value}" for name, value in attempt.settings.items())
    return f"trial {attempt.place + 1} of {num_trials}: {came_to}, {attempt.num_epochs} epochs; {tried}"


def _story(scope: Scope, study: Study, day: date, verdict: Verdict) -> str:
    return (
        f"Found by interest-graph tune on {scope.dataset.name}, {day.isoformat()}: "
        f"trial {verdict.best.place + 1} of {len(study.attempts())}, study {study.directory.parent.name}/{study.directory.name}.\n"
        f"Changed: {', '.join(f'{name} {value}' for name, value in verdict.changes.items())}.\n"
        f"NDCG@10 of {verdict.num_users} validation users it was not chosen by: ahead by {_lead(verdict)}."
    )


def _lead(verdict: Verdict) -> str:
    said = f"{verdict.lead.mean:+.4f} (standard error {verdict.lead.standard_error:.4f})"
    if verdict.again is not None:
        said += f", from another seed {verdict.again.mean:+.4f} ({verdict.again.standard_error:.4f})"
    return said
