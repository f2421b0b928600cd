"""The one job that refreshes everything for a day, and its daily schedule."""

import dagster as dg

REFRESH = dg.define_asset_job(
    "daily_refresh",
    selection=dg.AssetSelection.all(),
    description="Landing files in; marts, meaning, graph, model, recommendations, features and drift report out, for one day.",
)

NIGHTLY = dg.build_schedule_from_partitioned_job(
    REFRESH, name="daily_refresh_schedule", hour_of_day=2, description="At 02:00 UTC, the day that just ended."
)
