"""dbt's manifest beside our contracts: every difference at once."""

from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from ml.contracts import TableContract
from ml.contracts.behaviour import MART_TABLES, RAW_TABLES
from ml.contracts.contract import BOOLEAN, DAY, FLOAT, INTEGER, STRING, STRINGS, TIMESTAMP
from tests.transforms.dbt_home import Home

DUCKDB_TYPES: dict[pa.DataType, str] = {
    STRING: "varchar",
    FLOAT: "double",
    INTEGER: "bigint",
    BOOLEAN: "boolean",
    DAY: "date",
    TIMESTAMP: "timestamp with time zone",
    STRINGS: "varchar[]",
}


def marts_of(home: Home) -> dict[str, dict[str, Any]]:
    nodes = home.artifact("manifest")["nodes"].values()
    return {node["name"]: node for node in nodes if node["resource_type"] == "model" and node["fqn"][1] == "marts"}


def differences(contract: TableContract, mart: dict[str, Any]) -> Iterator[str]:
    columns = mart["columns"]
    expected = [column.name for column in contract.columns]
    if list(columns) != expected:
        yield f"{contract.name}: columns are {list(columns)}, the contract says {expected}"
    for column in contract.columns:
        found = columns.get(column.name, {})
        if found.get("data_type") != DUCKDB_TYPES[column.dtype]:
            yield f"{contract.name}.{column.name}: type {found.get('data_type')}, the contract says {DUCKDB_TYPES[column.dtype]}"
        nullable = not any(constraint["type"] == "not_null" for constraint in found.get("constraints", []))
        if nullable != column.nullable:
            yield f"{contract.name}.{column.name}: nullable {nullable}, the contract says {column.nullable}"
        if found.get("description") != column.description:
            yield f"{contract.name}.{column.name}: described as {found.get('description')!r}, the contract says {column.description!r}"
    if not mart["contract"]["enforced"]:
        yield f"{contract.name}: its dbt contract is not enforced"
    if tuple(mart["config"]["meta"]["key"]) != contract.key:
        yield f"{contract.name}: meta.key {mart['config']['meta']['key']}, the contract says {list(contract.key)}"


def test_marts_are_what_the_contracts_say(built_home: Home) -> None:
    marts = marts_of(built_home)
    found = [difference for contract in MART_TABLES for difference in differences(contract, marts.get(contract.name, {}))]
    assert not found, "transforms/models/marts and ml/contracts/behaviour.py differ:\n" + "\n".join(found)
    assert set(marts) == {contract.name for contract in MART_TABLES}


def test_sources_are_raw_tables_known_to_dagster_by_name(built_home: Home) -> None:
    sources = built_home.artifact("manifest")["sources"].values()
    keys = {source["name"]: source["config"]["meta"]["dagster"]["asset_key"] for source in sources}
    assert keys == {name: [name] for name in ("raw_events", "raw_items", "raw_users", "raw_knowledge")}
    assert set(keys) <= {contract.name for contract in RAW_TABLES}
