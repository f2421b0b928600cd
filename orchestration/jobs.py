"""The one job that refreshes everything for a day, and its daily schedule."""

import dagster as dg

REFRESH_JOB = "daily_refresh"


def refresh_job() -> dg.UnresolvedAssetJobDefinition:
    """Every asset of one day, in order."""
    return dg.define_asset_job(
        REFRESH_JOB,
        selection=dg.AssetSelection.all(),
        description="Landing files in; marts, meaning, graph, model, recommendations, features and drift report out, for one day.",
    )


def refresh_schedule(job: dg.UnresolvedAssetJobDefinition) -> dg.ScheduleDefinition:
    """Each night at 02:00 UTC for the day that just ended."""
    return dg.build_schedule_from_partitioned_job(
        job, name="daily_refresh_schedule", hour_of_day=2, description="At 02:00 UTC, the day that just ended."
    )
