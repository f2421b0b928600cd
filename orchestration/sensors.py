"""Asks for what new landing files have changed: the touched days' behaviour, and the newest day whole."""

import hashlib
from collections.abc import Sequence
from datetime import UTC, date, datetime

import dagster as dg
import pyarrow as pa
from dagster._core.storage.tags import ASSET_PARTITION_RANGE_END_TAG, ASSET_PARTITION_RANGE_START_TAG

from ml.days import last_complete_day
from ml.intake.dataset import dataset_fingerprint
from ml.intake.feedback import without_feedback
from ml.intake.ingest import landed_days
from ml.intake.reconcile import CHANGED, MARTS_DIFFER, days_in_state, reconcile
from orchestration.jobs import BEHAVIOUR, REFRESH
from orchestration.scope import Scope

# Days that changed, in words, on the run that builds them again.
CHANGED_DAYS_TAG = "interest_graph/changed_days"
MAX_TAG_CHARACTERS = 200


def landing_sensor(scope: Scope) -> dg.SensorDefinition:
    """Compares the landing files' names, sizes and times with what was last seen, then their events day by day with the raw tables."""

    @dg.sensor(
        name="new_landing_files",
        jobs=[REFRESH, BEHAVIOUR],
        minimum_interval_seconds=60,
        description=f"When a landing file appears or changes, runs {REFRESH.name} for the newest complete day that has events, and "
        f"{BEHAVIOUR.name} over the days before it whose events changed since they were built.",
    )
    def new_landing_files(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        given, files = dataset_fingerprint(without_feedback(scope.dataset)), dataset_fingerprint(scope.dataset)
        seen = dict(zip(("given", "files", "complete"), (context.cursor or "").split(), strict=False))
        if files == seen.get("files"):
            return dg.SkipReason("no landing file changed")
        now = datetime.now(UTC)
        landed = landed_days(scope.dataset, config=scope.config.intake, now=now, landed=scope.home.landed)
        last_complete = min(last_complete_day(now), max(landed.column("day").to_pylist(), default=scope.dataset.start))
        if last_complete < scope.dataset.start:
            return dg.SkipReason(f"no day from the dataset's start, {scope.dataset.start}, on is complete")
        complete = landed_state(landed, through=last_complete)
        cursor = f"{given} {files} {complete}"
        # Users say something at every moment: that asks for a run once it belongs to a complete day, and once only.
        if (given, complete) == (seen.get("given"), seen.get("complete")):
            return dg.SensorResult(skip_reason="only feedback came, of a day that is not complete", cursor=cursor)
        found = reconcile(landed, store=scope.store, through=last_complete)
        changed = [day for day in days_in_state(found, CHANGED, MARTS_DIFFER) if day < last_complete]
        return dg.SensorResult(run_requests=requests(changed, newest=last_complete), cursor=cursor)

    return new_landing_files


def landed_state(landed: pa.Table, *, through: date) -> str:
    """What stands for all landed events of the days up to `through`."""
    days = [(row["day"].isoformat(), row["digest"]) for row in landed.to_pylist() if row["day"] <= through]
    return hashlib.sha256(repr(days).encode()).hexdigest()


def requests(changed: Sequence[date], *, newest: date) -> list[dg.RunRequest]:
    """One run over the span of the changed days, in which the unchanged ones are left as they are; then the newest day.

    Without run keys: a state of the files that comes back is asked for again; the cursor keeps one state from being asked for twice.
    """
    asked = []
    if changed:
        tags = {
            ASSET_PARTITION_RANGE_START_TAG: changed[0].isoformat(),
            ASSET_PARTITION_RANGE_END_TAG: changed[-1].isoformat(),
            CHANGED_DAYS_TAG: " ".join(day.isoformat() for day in changed)[:MAX_TAG_CHARACTERS],
        }
        asked.append(dg.RunRequest(job_name=BEHAVIOUR.name, tags=tags))
    return [*asked, dg.RunRequest(job_name=REFRESH.name, partition_key=newest.isoformat())]
