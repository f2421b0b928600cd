"""The jobs that refresh a day, and the daily schedule."""

import dagster as dg

BEHAVIOUR_GROUPS = ("raw", "staging", "intermediate", "marts")

REFRESH = dg.define_asset_job(
    "daily_refresh",
    selection=dg.AssetSelection.all(),
    description="Landing files in; marts, meaning, graph, model, recommendations, features and drift report out, for one day.",
)

BEHAVIOUR = dg.define_asset_job(
    "behaviour_refresh",
    selection=dg.AssetSelection.groups(*BEHAVIOUR_GROUPS),
    description="Landing files and dbt over a range of days: what late, corrected or removed events have changed is built again.",
)

NIGHTLY = dg.build_schedule_from_partitioned_job(
    REFRESH, name="daily_refresh_schedule", hour_of_day=2, description="At 02:00 UTC, the day that just ended."
)
