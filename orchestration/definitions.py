"""Everything Dagster loads: one code location per dataset, named by the environment."""

import os

import dagster as dg
from dagster_dbt import DbtCliResource

from orchestration.assets.behaviour import behaviour_assets, dbt_environment
from orchestration.assets.encoder import encoder_assets
from orchestration.assets.features import feature_assets
from orchestration.assets.graph import graph_assets
from orchestration.assets.interests import interest_assets
from orchestration.assets.model import model_assets
from orchestration.assets.monitoring import monitoring_assets
from orchestration.assets.outputs import output_assets
from orchestration.assets.raw import raw_assets
from orchestration.assets.text import text_assets
from orchestration.console import STEP_LINES
from orchestration.dbt_project import DBT, PROJECT
from orchestration.environment import quiet_libraries, read_environment
from orchestration.jobs import BEHAVIOUR, NIGHTLY, REFRESH
from orchestration.scope import Scope, load_scope
from orchestration.sensors import landing_sensor

ASSET_FACTORIES = (
    raw_assets,
    behaviour_assets,
    encoder_assets,
    text_assets,
    interest_assets,
    graph_assets,
    model_assets,
    output_assets,
    feature_assets,
    monitoring_assets,
)


def build_definitions(scope: Scope) -> dg.Definitions:
    """Assets, checks, job, schedule and sensor of one dataset."""
    os.environ.update(dbt_environment(scope))
    return dg.Definitions(
        assets=[asset for factory in ASSET_FACTORIES for asset in factory(scope)],
        jobs=[REFRESH, BEHAVIOUR],
        schedules=[NIGHTLY],
        sensors=[landing_sensor(scope)],
        resources={
            "dbt": DbtCliResource(project_dir=str(PROJECT), profiles_dir=str(PROJECT), dbt_executable=str(DBT)),
        },
        # One process per run: a step that starts its own would import torch again for every asset.
        executor=dg.in_process_executor,
        loggers={"console": STEP_LINES},
    )


@dg.definitions
def defs() -> dg.Definitions:
    """The dataset that the environment names, the bundled sample by default."""
    quiet_libraries()
    return build_definitions(load_scope(read_environment(os.environ)))
