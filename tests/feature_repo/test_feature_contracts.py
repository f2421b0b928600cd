"""dbt's manifest, our contracts and Feast's fields, side by side."""

import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from feast.type_map import feast_value_type_to_pa

from feature_repo.definitions import SERVICES, definitions, feast_type
from ml.contracts import CONTRACTS
from ml.contracts.outputs import FEATURE_TABLES


@pytest.fixture(scope="module")
def views():
    return {view.name: view for view in definitions(Path("/nowhere"), ttl=timedelta(days=7)).views}


def test_every_feature_table_is_a_view_with_the_contracts_types(views):
    differences = []
    for contract in FEATURE_TABLES:
        hidden = {*contract.key, "event_timestamp", "created_timestamp"}
        declared = {column.name: column.dtype for column in contract.columns if column.name not in hidden}
        known = {field.name: feast_value_type_to_pa(field.dtype.to_value_type()) for field in views[contract.name].features}
        differences += [f"{contract.name}.{name}: only in one" for name in declared.keys() ^ known.keys()]
        differences += [
            f"{contract.name}.{name}: {declared[name]} in the contract, {known[name]} in Feast"
            for name in declared.keys() & known.keys()
            if declared[name] != known[name]
        ]
    assert views.keys() == {contract.name for contract in FEATURE_TABLES}
    assert differences == []


def test_every_view_is_served_by_one_service(views):
    assert sorted(SERVICES.values()) == sorted(views)


def test_timestamps_are_microseconds_utc():
    # Nanoseconds with a zone break DuckDB 2.0, and so our offline store (TRAPS R3).
    for contract in FEATURE_TABLES:
        for name in ("event_timestamp", "created_timestamp"):
            assert contract.schema.field(name).type == pa.timestamp("us", tz="UTC")


def test_a_type_no_feature_has_had_is_refused():
    with pytest.raises(KeyError):
        feast_type(pa.decimal128(10, 2))


def test_features_are_no_dbt_models(repository):
    """Feature tables are built from marts, never by dbt: a table has one owner."""
    described = {path.stem for path in (repository / "transforms" / "models").rglob("*.sql")}
    assert described.isdisjoint({contract.name for contract in FEATURE_TABLES})


def test_naming_the_entry_modules_does_not_import_feast():
    """Dagster and the command line name them at every start; Feast takes ten CPU seconds."""
    code = (
        "import sys, json; import feature_repo.publish, feature_repo.lookup, feature_repo.server, orchestration.rollback\n"
        "print(json.dumps('feast' in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) is False


def test_contracts_have_one_key_that_feast_can_join_on():
    assert {CONTRACTS[name].key for name in SERVICES.values()} == {("user_id",), ("item_id",)}
