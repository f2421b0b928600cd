"""The decorators that make a function of tables an asset, everything derived from the table's contract.

Key, description, column schema, partitions, inputs and storage come from the
contract and the scope; the decorated function names its input tables as
parameters, calls one public function of `ml` and returns the table.
"""

import inspect
from collections.abc import Callable, Sequence
from datetime import date
from typing import Any

import dagster as dg

from ml.contracts import TableContract
from orchestration.scope import Scope

OWNER = "team:recommendations"


def partition_day(context: dg.AssetExecutionContext) -> date:
    """The day of a run over a single partition."""
    return date.fromisoformat(context.partition_key)


def partition_days(context: dg.AssetExecutionContext) -> list[date]:
    """The days of a run over one partition or a range."""
    return [date.fromisoformat(key) for key in context.partition_keys]


def column_schema(contract: TableContract) -> dg.TableSchema:
    """A contract's columns as Dagster shows them."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                column.name,
                str(column.dtype),
                description=column.description,
                constraints=dg.TableColumnConstraints(nullable=column.nullable),
            )
            for column in contract.columns
        ]
    )


def contract_attributes(contract: TableContract) -> dict[str, Any]:
    """Description and definition metadata of a table's asset."""
    return {
        "description": f"One row per {contract.row}." + (" A snapshot at the day's end." if contract.grain == "snapshot" else ""),
        "metadata": {"dagster/column_schema": column_schema(contract), "key": ", ".join(contract.key) or "none"},
    }


def table_asset(
    scope: Scope, contract: TableContract, *, group: str, kinds: set[str], check_specs: Sequence[dg.AssetCheckSpec] = ()
) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
    """An asset of one contract table; a function with `check_specs` yields their results beside its table."""

    def decorate(function: Callable[..., Any]) -> dg.AssetsDefinition:
        made: dg.AssetsDefinition = dg.asset(
            key=scope.key(contract.name),
            ins=_inputs(scope, function),
            check_specs=check_specs,
            partitions_def=scope.partitions,
            group_name=group,
            owners=[OWNER],
            kinds=kinds,
            **contract_attributes(contract),
        )(function)
        return made

    return decorate


def table_assets(
    scope: Scope, contracts: Sequence[TableContract], *, name: str, group: str, kinds: set[str]
) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
    """Several contract tables computed together; the function returns them as a tuple in this order."""

    def decorate(function: Callable[..., Any]) -> dg.AssetsDefinition:
        made: dg.AssetsDefinition = dg.multi_asset(
            name=name,
            outs={
                contract.name: dg.AssetOut(
                    key=scope.key(contract.name),
                    group_name=group,
                    owners=[OWNER],
                    kinds=kinds,
                    **contract_attributes(contract),
                )
                for contract in contracts
            },
            ins=_inputs(scope, function),
            partitions_def=scope.partitions,
        )(function)
        return made

    return decorate


def _inputs(scope: Scope, function: Callable[..., Any]) -> dict[str, dg.AssetIn]:
    names = [name for name in inspect.signature(function).parameters if name != "context"]
    return {name: dg.AssetIn(key=scope.key(name)) for name in names}
