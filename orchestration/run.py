"""The main job from the command line: bring one day of a dataset up to date.

One Dagster run of one partition in this process; what the day stands on and is
missing is made on the way. A run over the same files, settings and code is not
repeated.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import dagster as dg
from dagster._core.storage.tags import ASSET_PARTITION_RANGE_END_TAG, ASSET_PARTITION_RANGE_START_TAG

from ml.contracts import CONTRACTS
from ml.contracts.files import write_text
from ml.days import last_complete_day
from ml.errors import InterestGraphError
from ml.intake.dataset import dataset_fingerprint
from ml.intake.ingest import event_days
from orchestration.assets.raw import ACCEPT_TAG
from orchestration.dead_runs import PROCESS_TAG, dead_runs_ended, this_process
from orchestration.definitions import build_definitions
from orchestration.full_disk import DiskFullError, is_disk_full
from orchestration.instance import open_instance
from orchestration.jobs import REFRESH
from orchestration.scope import Scope
from orchestration.table_assets import RECOMPUTE_TAG

CODE = Path(__file__).resolve().parents[1]
CODE_FOLDERS = ("ml", "orchestration", "transforms", "feature_repo", "monitoring")


class RunFailedError(InterestGraphError):
    """A step of the main job that failed, with its own message."""

    def __init__(self, step: str, message: str) -> None:
        self.step = step
        super().__init__(f"step {step} failed: {message}")


@dataclass(frozen=True)
class RunOutcome:
    """What a run did: the day, whether it was reused, failed checks, the seconds it took."""

    day: date
    reused: bool
    failed_checks: tuple[str, ...]
    seconds: float


def newest_day(scope: Scope) -> date:
    """The newest complete day with events, and never before the dataset's start."""
    days = event_days(scope.dataset, config=scope.config.intake, now=datetime.now(UTC), landed=scope.home.landed)
    return max(min(days.last, last_complete_day(datetime.now(UTC))), scope.dataset.start)


def run(scope: Scope, *, day: date, force: bool = False, accept: bool = False) -> RunOutcome:
    """Bring `day` up to date; raises `RunFailedError` with the failing step's own message.

    `force` makes it again although nothing changed; `accept` goes on with a day that is not as usual.
    """
    fingerprint = run_fingerprint(scope)
    record = scope.home.runs / f"{day.isoformat()}.json"
    known = json.loads(record.read_text(encoding="utf-8")) if record.exists() else {}
    is_same = known.get("fingerprint") == fingerprint and known.get("made") == _made(scope, day=day)
    if is_same and not force and _is_complete(scope, day=day):
        return RunOutcome(day, reused=True, failed_checks=tuple(known["failed_checks"]), seconds=known["seconds"])
    started = datetime.now(UTC)
    failed_checks = _execute(scope, partition_key=day.isoformat(), tags=_wishes(recompute=force, accept=accept))
    seconds = (datetime.now(UTC) - started).total_seconds()
    said = {"fingerprint": fingerprint, "made": _made(scope, day=day), "failed_checks": failed_checks, "seconds": seconds}
    write_text(json.dumps(said), record)
    return RunOutcome(day, reused=False, failed_checks=tuple(failed_checks), seconds=seconds)


def backfill(scope: Scope, *, first: date, last: date, recompute: bool = False, accept: bool = False) -> RunOutcome:
    """Bring every day from `first` through `last` up to date in one run; what is made from the same already stays as it is.

    Only the newest of them may go live and online. Raises `RunFailedError` with the failing step's own message.
    """
    started = datetime.now(UTC)
    tags = {ASSET_PARTITION_RANGE_START_TAG: first.isoformat(), ASSET_PARTITION_RANGE_END_TAG: last.isoformat()}
    failed_checks = _execute(scope, tags=tags | _wishes(recompute=recompute, accept=accept))
    return RunOutcome(last, reused=False, failed_checks=tuple(failed_checks), seconds=(datetime.now(UTC) - started).total_seconds())


def _is_complete(scope: Scope, *, day: date) -> bool:
    """Whether every artefact of the day is there with the bytes it was finished with."""
    return (
        scope.candidates.is_whole(day) and scope.encoders.is_whole(day) and all(scope.store.is_whole(name, day=day) for name in CONTRACTS)
    )


def _made(scope: Scope, *, day: date) -> str:
    """What stands for everything the day holds and was made from: a backfill may have made it again with other settings."""
    manifests = [scope.candidates.manifest(day), scope.encoders.manifest(day), *(scope.store.manifest(name, day=day) for name in CONTRACTS)]
    return hashlib.sha256(repr(manifests).encode()).hexdigest()


def run_fingerprint(scope: Scope) -> str:
    """Changes when a landing file, the dataset file, a setting or our code changes."""
    digest = hashlib.sha256()
    digest.update(dataset_fingerprint(scope.dataset).encode())
    # What a search would try, and how much a service takes, decides nothing that a run makes.
    digest.update(scope.config.model_dump_json(exclude={"search", "serving"}).encode())
    digest.update(scope.model_content.encode())
    for folder in CODE_FOLDERS:
        for path in sorted((CODE / folder).rglob("*")):
            if path.suffix in {".py", ".sql", ".yml", ".yaml"} and "target" not in path.parts:
                digest.update(path.read_bytes())
    return digest.hexdigest()


def _wishes(*, recompute: bool, accept: bool) -> dict[str, str]:
    return {tag: "true" for tag, wished in ((RECOMPUTE_TAG, recompute), (ACCEPT_TAG, accept)) if wished}


def _execute(scope: Scope, *, tags: Mapping[str, str], partition_key: str | None = None) -> list[str]:
    try:
        result = _executed(scope, tags=tags, partition_key=partition_key)
    except Exception as error:
        # Dagster could not note what a step did, or the run could not begin.
        if is_disk_full(error, home=scope.home.root):
            raise DiskFullError(scope.home.root, during="the run") from error
        raise
    if not result.success:
        raise _failure(result, scope=scope)
    return [f"{found.asset_key.path[-1]}: {found.check_name}" for found in result.get_asset_check_evaluations() if not found.passed]


def _executed(scope: Scope, *, tags: Mapping[str, str], partition_key: str | None) -> dg.ExecuteInProcessResult:
    job = build_definitions(scope).resolve_job_def(REFRESH.name)
    with open_instance(scope.home.root) as instance, dead_runs_ended(instance):
        return job.execute_in_process(
            instance=instance,
            partition_key=partition_key,
            tags={**tags, PROCESS_TAG: this_process()},
            run_config={"loggers": {"console": {}}},
            raise_on_error=False,
        )


def _failure(result: dg.ExecuteInProcessResult, *, scope: Scope) -> InterestGraphError:
    failed = next(event for event in result.all_events if event.is_step_failure)
    error = failed.step_failure_data.error
    if is_disk_full(error, home=scope.home.root):
        return DiskFullError(scope.home.root, during=f"step {failed.step_key}")
    stopped_by = [
        found.description
        for found in result.get_asset_check_evaluations()
        if found.blocking and not found.passed and found.severity == dg.AssetCheckSeverity.ERROR and found.description
    ]
    if stopped_by:
        return RunFailedError(str(failed.step_key), " ".join(stopped_by))
    cause = error.cause or error if error else None
    if cause and "ExecutionInterrupted" in cause.message:
        return RunFailedError(str(failed.step_key), "it was interrupted; what is finished stays, run the same again to go on")
    return RunFailedError(str(failed.step_key), cause.message.strip() if cause else "no message")
