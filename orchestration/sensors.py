"""Asks for a refresh when the landing files change."""

from datetime import UTC, datetime

import dagster as dg

from ml.intake.dataset import dataset_fingerprint
from ml.intake.ingest import event_days
from orchestration.jobs import REFRESH
from orchestration.scope import Scope


def landing_sensor(scope: Scope) -> dg.SensorDefinition:
    """Compares the landing files' names, sizes and times with what was last seen."""

    @dg.sensor(
        name="new_landing_files",
        job=REFRESH,
        minimum_interval_seconds=60,
        description=f"When a landing file appears or changes, runs {REFRESH.name} for the newest complete day that has events.",
    )
    def new_landing_files(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        fingerprint = dataset_fingerprint(scope.dataset)
        if fingerprint == context.cursor:
            return dg.SkipReason("no landing file changed")
        now = datetime.now(UTC)
        newest = event_days(scope.dataset, config=scope.config.intake, now=now).last
        key = newest.isoformat()
        if key not in scope.partitions.get_partition_keys(current_time=now):
            return dg.SkipReason(f"the newest events are of {key}, a day that is not complete or lies before the dataset's start")
        return dg.SensorResult(run_requests=[dg.RunRequest(run_key=f"{key}-{fingerprint}", partition_key=key)], cursor=fingerprint)

    return new_landing_files
