"""The dbt project as assets: staging, intermediate and marts, Parquet out.

The warehouse file belongs to dbt alone; one pool keeps two runs from opening it
at once. Everything downstream reads the marts' Parquet. One dbt process builds all
days that need it, and none where none does.
"""

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from graphlib import TopologicalSorter
from importlib.metadata import version
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings, DbtCliResource, dbt_assets

from ml.contracts import CONTRACTS
from ml.contracts.behaviour import MART_TABLES, RAW_EVENTS, RAW_ITEMS
from ml.contracts.contract import TableContract
from ml.contracts.manifest import Recipe
from ml.days import days_through
from ml.intake.feedback import event_weights
from orchestration.dbt_project import manifest_path, project_fingerprint
from orchestration.memory import bounded_memory
from orchestration.partitions import SAME_DAY
from orchestration.scope import Scope
from orchestration.table_assets import OWNER, contract_attributes, partition_days, say_what_days_hold, wants_recompute
from orchestration.warehouse import damage, set_aside

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

    def get_code_version(self, dbt_resource_props: Mapping[str, Any]) -> str:  # noqa: ARG002  the base class's signature
        """One for all models: macros and vars decide as much as a model's own SQL."""
        return marts_version(self._scope)

    def get_partition_mapping(
        self,
        dbt_resource_props: Mapping[str, Any],  # noqa: ARG002  the base class's signature
        dbt_parent_resource_props: Mapping[str, Any],  # noqa: ARG002  the base class's signature
    ) -> dg.PartitionMapping:
        """Every model names the days it is built for; the history that `items` reads is dbt's own table."""
        return SAME_DAY


@dataclass(frozen=True)
class MartDays:
    """Days whose marts are not made from what is raw now: of events, and of snapshots (which all events before them decide)."""

    events: tuple[date, ...]
    snapshots: tuple[date, ...]

    @property
    def all(self) -> list[date]:
        """All of them, oldest first."""
        return sorted({*self.events, *self.snapshots})

    def of(self, contract: TableContract) -> tuple[date, ...]:
        """Those that one mart is built for."""
        return self.snapshots if contract.grain == "snapshot" else self.events


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
        asked = partition_days(context)
        days = days_to_build(scope, through=asked[-1], also=asked if wants_recompute(context) else ())
        if days.all:
            yield from list(built(context, dbt, scope=scope, days=days))
            seal_marts(scope, days)
        else:
            context.log.info(f"nothing is new for {asked[0]} to {asked[-1]}: dbt is not asked")
            yield from (dg.MaterializeResult(asset_key=key) for key in upstream_first(context.assets_def.asset_deps))
        say_what_days_hold(context, scope, [contract.name for contract in MART_TABLES], asked=asked, made=days.all)

    return [transforms]


def upstream_first(deps: Mapping[dg.AssetKey, set[dg.AssetKey]]) -> list[dg.AssetKey]:
    """The keys in an order in which Dagster takes their results."""
    return [key for key in TopologicalSorter(deps).static_order() if key in deps]


def built(context: dg.AssetExecutionContext, dbt: DbtCliResource, *, scope: Scope, days: MartDays) -> Iterator[Any]:
    """Events of one `dbt build`; over a new warehouse where the old one turns out to be unreadable."""
    replace_broken_warehouse(context, scope, deep=False)
    try:
        yield from _build(context, dbt, scope=scope, days=days)
    except Exception:
        # dbt's own failure may be a block that only reading shows to be broken.
        if not replace_broken_warehouse(context, scope, deep=True):
            raise
        yield from _build(context, dbt, scope=scope, days=days)


def _build(context: dg.AssetExecutionContext, dbt: DbtCliResource, *, scope: Scope, days: MartDays) -> list[Any]:
    for contract in MART_TABLES:
        scope.store.directory(contract.name).mkdir(parents=True, exist_ok=True)
        # From here on the warehouse may hold other events than the marts: a build that fails must leave nothing that counts as made.
        for day in days.of(contract):
            scope.store.unseal(contract.name, day=day)
    target = scope.home.root / "dbt" / f"run-{context.run_id}"
    # Marts reach their files only when all of dbt is done: nothing is told before.
    events = list(dbt.cli(["build", "--vars", json.dumps(dbt_variables(scope, days))], context=context, target_path=target).stream())
    # What dbt compiled is looked at only after a failure, which leaves it here.
    shutil.rmtree(target, ignore_errors=True)
    return events


def replace_broken_warehouse(context: dg.AssetExecutionContext, scope: Scope, *, deep: bool) -> bool:
    """Set an unreadable warehouse aside, loudly; returns whether it was one."""
    found = damage(scope.home.warehouse, deep=deep)
    if found is None:
        return False
    aside = set_aside(scope.home.warehouse)
    said = f"the warehouse cannot be read ({found}); set aside as {aside.name}, built again from the raw partitions. Nothing is lost."
    context.log.error(said)
    context.log_event(dg.AssetObservation(scope.key("int_events_deduplicated"), description=said, metadata={"set aside": str(aside)}))
    return True


def days_to_build(scope: Scope, *, through: date, also: Sequence[date] = ()) -> MartDays:
    """Every day up to `through` whose marts are missing, torn or made from something else than is raw now."""
    snapshots = [contract for contract in MART_TABLES if contract.grain == "snapshot"]
    daily = [contract for contract in MART_TABLES if contract.grain == "daily"]
    histories = event_histories(scope, through=through)

    def is_current(contract: TableContract, day: date) -> bool:
        return scope.store.is_made_from(contract.name, mart_recipe(scope, contract, day=day, histories=histories), day=day)

    def outdated(contracts: Sequence[TableContract]) -> tuple[date, ...]:
        return tuple(
            day for day in days_through(scope.dataset.start, through) if day in also or not all(is_current(each, day) for each in contracts)
        )

    return MartDays(outdated(daily), outdated(snapshots))


def event_histories(scope: Scope, *, through: date) -> dict[date, str]:
    """What stands for all raw events through each day."""
    return scope.store.history_digests(RAW_EVENTS, since=scope.dataset.start, through=through)


def mart_recipe(scope: Scope, contract: TableContract, *, day: date, histories: Mapping[date, str]) -> Recipe:
    """A day's events decide its daily marts; its catalogue and all events before its end decide a snapshot."""
    if contract.grain == "daily":
        manifest = scope.store.manifest(RAW_EVENTS.name, day=day)
        return Recipe(marts_version(scope), {RAW_EVENTS.name: manifest.sha256 if manifest else "missing"})
    return Recipe(marts_version(scope), {RAW_EVENTS.name: histories[day], RAW_ITEMS.name: scope.artefact(RAW_ITEMS.name).digest(day)})


def marts_version(scope: Scope) -> str:
    """Version of the SQL, of what runs it, and of what each event is worth."""
    libraries = " ".join(f"{name}=={version(name)}" for name in ("dbt-core", "dbt-duckdb", "duckdb"))
    return f"{project_fingerprint()}-{libraries}-{json.dumps(event_weights(scope.dataset), sort_keys=True)}"


def seal_marts(scope: Scope, days: MartDays) -> None:
    """Check what dbt wrote, have it reach the disk, and write the manifests."""
    histories = event_histories(scope, through=days.all[-1])
    for contract in MART_TABLES:
        for day in days.of(contract):
            scope.store.seal(contract, day=day, recipe=mart_recipe(scope, contract, day=day, histories=histories))


def dbt_variables(scope: Scope, days: MartDays) -> dict[str, Any]:
    """What the dbt project is told: where tables lie, the days to build, what each event type is worth."""
    return {
        "tables_root": str(scope.home.tables),
        "first_day": scope.dataset.start.isoformat(),
        "start_day": days.all[0].isoformat(),
        "end_day": days.all[-1].isoformat(),
        "only_days": [day.isoformat() for day in days.events],
        "only_snapshot_days": [day.isoformat() for day in days.snapshots],
        "weights": event_weights(scope.dataset),
    }


def dbt_environment(scope: Scope) -> dict[str, str]:
    """What `transforms/profiles.yml` reads from the environment."""
    return {
        "INTEREST_GRAPH_WAREHOUSE": str(scope.home.warehouse),
        "INTEREST_GRAPH_DBT_THREADS": str(scope.config.intake.threads),
        "INTEREST_GRAPH_DBT_MEMORY_LIMIT": bounded_memory(scope.config.intake.memory_limit),
    }
