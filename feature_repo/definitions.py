"""Entities, feature views and feature services, derived from the table contracts.

A feature is added to `ml.contracts.outputs` and appears here by itself; only what
Feast alone needs (join keys, sources, services) is written down. Feast does not
scan this folder, so it may hold any module: `feature_repo.publish` applies the definitions.
"""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
from feast import Entity, FeatureService, FeatureView, Field, FileSource, ValueType
from feast.feature_view import FeatureViewState
from feast.types import Array, Bool, FeastType, Float32, Float64, Int64, String

from ml.contracts import TableContract
from ml.contracts.outputs import FEATURE_TABLES

EVENT_TIMESTAMP = "event_timestamp"
CREATED_TIMESTAMP = "created_timestamp"
JOIN_KEYS = {"user_id": "user", "item_id": "item"}
SERVICES = {"user_profile": "user_profiles", "item_profile": "item_features", "recommendations": "recommendation_lists"}

_SCALARS: dict[pa.DataType, FeastType] = {
    pa.string(): String,
    pa.int64(): Int64,
    pa.float64(): Float64,
    pa.float32(): Float32,
    pa.bool_(): Bool,
}


@dataclass(frozen=True)
class Definitions:
    """Everything Feast is told about one dataset."""

    entities: tuple[Entity, ...]
    views: tuple[FeatureView, ...]
    services: tuple[FeatureService, ...]

    def all(self) -> list[Entity | FeatureView | FeatureService]:
        """What `FeatureStore.apply` takes."""
        return [*self.entities, *self.views, *self.services]


def feast_type(dtype: pa.DataType) -> FeastType:
    """The Feast type of a contract column; raises `KeyError` for a type no feature has had yet."""
    if pa.types.is_list(dtype):
        return Array(_SCALARS[dtype.value_type])
    return _SCALARS[dtype]


def feature_fields(contract: TableContract) -> list[Field]:
    """The contract's columns as Feast fields, join key and timestamps left out."""
    hidden = {*contract.key, EVENT_TIMESTAMP, CREATED_TIMESTAMP}
    return [
        Field(name=column.name, dtype=feast_type(column.dtype), description=column.description)
        for column in contract.columns
        if column.name not in hidden
    ]


def definitions(tables: Path, *, ttl: timedelta) -> Definitions:
    """Entities, views and services over the Parquet partitions below `tables`; `ttl` bounds how old a value may be offline."""
    entities = {key: Entity(name=name, join_keys=[key], value_type=ValueType.STRING) for key, name in JOIN_KEYS.items()}
    views = {contract.name: _view(contract, entities=entities, tables=tables, ttl=ttl) for contract in FEATURE_TABLES}
    services = [FeatureService(name=service, features=[views[view]]) for service, view in SERVICES.items()]
    return Definitions(tuple(entities.values()), tuple(views.values()), tuple(services))


def _view(contract: TableContract, *, entities: dict[str, Entity], tables: Path, ttl: timedelta) -> FeatureView:
    (join_key,) = contract.key
    source = FileSource(
        name=contract.name,
        path=str(tables / contract.name),
        timestamp_field=EVENT_TIMESTAMP,
        created_timestamp_column=CREATED_TIMESTAMP,
    )
    view = FeatureView(
        name=contract.name,
        entities=[entities[join_key]],
        ttl=ttl,
        schema=[Field(name=join_key, dtype=String), *feature_fields(contract)],
        source=source,
        online=True,
        description=f"one row per {contract.row}",
    )
    # What Feast's own materialize would leave; a generation is written without it, so that no kill leaves MATERIALIZING behind.
    view.state = FeatureViewState.AVAILABLE_ONLINE
    return view
