"""Pure functions and models: everything that turns tables into better tables.

Nothing here knows Dagster, Feast, dbt, Evidently or the environment; the edges
(`orchestration`, `serving`) pass configuration, time, randomness and device in.
The layers and who may import whom: `docs/architecture.md`.
"""
