"""The dbt project as assets: staging, intermediate and marts, Parquet out.

The warehouse file belongs to dbt alone; one pool keeps two runs from opening it
at once. Everything downstream reads the marts' Parquet.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any

import dagster as dg
import pyarrow.parquet as pq
from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings, DbtCliResource, dbt_assets

from ml.contracts import CONTRACTS
from ml.contracts.behaviour import MART_TABLES
from orchestration.dbt_project import manifest_path
from orchestration.scope import Scope
from orchestration.table_assets import OWNER, contract_attributes, partition_days

WAREHOUSE_POOL = "duckdb_writer"


class ScopedTranslator(DagsterDbtTranslator):  # type: ignore[misc]  # dagster-dbt is not followed
    """Names dbt's nodes as ours: dataset name as prefix, a group per layer, contracts as descriptions."""

    def __init__(self, scope: Scope) -> None:
        super().__init__(DagsterDbtTranslatorSettings(enable_code_references=False))
        self._scope = scope

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        """Dataset name, then the table's own name."""
        return self._scope.key(dbt_resource_props["name"])

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str:
        """The layer folder the model lies in."""
        return str(dbt_resource_props["fqn"][1])

    def get_owners(self, dbt_resource_props: Mapping[str, Any]) -> list[str]:  # noqa: ARG002  the base class's signature
        """One owner for all."""
        return [OWNER]

    def get_description(self, dbt_resource_props: Mapping[str, Any]) -> str:
        """A contract's own sentence, or the model's yml."""
        contract = CONTRACTS.get(dbt_resource_props["name"])
        return contract_attributes(contract)["description"] if contract else str(dbt_resource_props["description"])

    def get_metadata(self, dbt_resource_props: Mapping[str, Any]) -> Mapping[str, Any]:
        """The contract's column schema where there is a contract."""
        contract = CONTRACTS.get(dbt_resource_props["name"])
        described: Mapping[str, Any] = super().get_metadata(dbt_resource_props)
        return contract_attributes(contract)["metadata"] if contract else described


def behaviour_assets(scope: Scope) -> list[dg.AssetsDefinition]:
    """All dbt models as one operation over a day or a range of days."""

    @dbt_assets(  # type: ignore[untyped-decorator]  # dagster-dbt is not followed
        manifest=manifest_path(scope.home.root),
        name="transforms",
        dagster_dbt_translator=ScopedTranslator(scope),
        partitions_def=scope.partitions,
        backfill_policy=dg.BackfillPolicy.single_run(),
        exclude="resource_type:unit_test",
        pool=WAREHOUSE_POOL,
    )
    def transforms(context: dg.AssetExecutionContext, dbt: DbtCliResource) -> Iterator[Any]:
        days = partition_days(context)
        for table in MART_TABLES:
            scope.store.directory(table.name).mkdir(parents=True, exist_ok=True)
        variables = json.dumps(dbt_variables(scope, days[0].isoformat(), days[-1].isoformat()))
        target = scope.home.root / "dbt" / f"run-{context.run_id}"
        # Marts reach their files only when all of dbt is done: counted then, told then.
        for event in list(dbt.cli(["build", "--vars", variables], context=context, target_path=target).stream()):
            yield with_row_count(event, scope=scope, days=days)

    return [transforms]


def with_row_count(event: object, *, scope: Scope, days: Sequence[date]) -> object:
    """A mart's output with the rows its files hold for `days`; any other event as it is."""
    if not isinstance(event, dg.Output):
        return event
    mart = next((contract for contract in MART_TABLES if event.output_name.endswith(f"__{contract.name}")), None)
    if mart is None:
        return event
    num_rows = sum(pq.read_metadata(scope.store.path(mart.name, day)).num_rows for day in days)
    return event.with_metadata({**event.metadata, "rows written": num_rows})


def dbt_variables(scope: Scope, start_day: str, end_day: str) -> dict[str, Any]:
    """What the dbt project is told: where tables lie, the range to build, what each event type is worth."""
    return {
        "tables_root": str(scope.home.tables),
        "first_day": scope.dataset.start.isoformat(),
        "start_day": start_day,
        "end_day": end_day,
        "weights": dict(scope.dataset.weights),
    }


def dbt_environment(scope: Scope) -> dict[str, str]:
    """What `transforms/profiles.yml` reads from the environment."""
    return {
        "INTEREST_GRAPH_WAREHOUSE": str(scope.home.warehouse),
        "INTEREST_GRAPH_DBT_THREADS": str(scope.config.intake.threads),
        "INTEREST_GRAPH_DBT_MEMORY_LIMIT": scope.config.intake.memory_limit,
    }
