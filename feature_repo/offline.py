"""Point-in-time look-ups over Parquet partitions, as a Feast offline store.

Feast 0.67's own file store (Dask) fails on an entity it has never seen and drops
entity rows older than the first value once a source has several files; ours asks
DuckDB for "the newest row at or before this moment" and gives nulls. Everything
else is inherited.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
from feast import FeatureView
from feast.infra.offline_stores.dask import DaskOfflineStore, DaskOfflineStoreConfig
from feast.infra.offline_stores.offline_store import RetrievalJob, RetrievalMetadata
from feast.infra.registry.base_registry import BaseRegistry
from feast.repo_config import RepoConfig
from feast.saved_dataset import SavedDatasetStorage
from feast.utils import _get_requested_feature_views_to_features_dict

from ml.contracts.contract import TIMESTAMP
from ml.errors import MissingTableError

PARTITIONS = "????-??-??.parquet"
MOMENT = "event_timestamp"
ROW = "__row"


class PointInTimeOfflineStoreConfig(DaskOfflineStoreConfig):  # type: ignore[misc]  # feast ships no types
    """Names the store to Feast; nothing to set."""

    type: str = "feature_repo.offline.PointInTimeOfflineStore"


class PointInTimeOfflineStore(DaskOfflineStore):  # type: ignore[misc]  # feast ships no types
    """Feast's file store with another historical retrieval."""

    @staticmethod
    def get_historical_features(  # noqa: PLR0917  (Feast's signature)
        config: RepoConfig,  # noqa: ARG004
        feature_views: list[FeatureView],
        feature_refs: list[str],
        entity_df: pd.DataFrame | str | None,
        registry: BaseRegistry,  # noqa: ARG004
        project: str,  # noqa: ARG004
        full_feature_names: bool = False,
        filter_by_created_timestamp: bool = False,
        **kwargs: Any,  # noqa: ARG004
    ) -> RetrievalJob:
        """Feature values as they were known at each row's `event_timestamp`; null where nothing was, or was older than the ttl.

        With `filter_by_created_timestamp` a row also counts only if it had been computed by then (a backfill had not).
        Raises `ValueError` for entities that are not a data frame with an
        `event_timestamp` column, `MissingTableError` for a view without partitions.
        """
        if not isinstance(entity_df, pd.DataFrame) or MOMENT not in entity_df.columns:
            raise ValueError(f"entity_df must be a pandas data frame with the join keys and a column {MOMENT}")
        wanted, _ = _get_requested_feature_views_to_features_dict(feature_refs, feature_views, [])
        return PointInTimeJob(
            entities=_entities(entity_df),
            wanted=dict(wanted),
            feature_refs=feature_refs,
            full_feature_names=full_feature_names,
            computed_by_then=filter_by_created_timestamp,
        )


class PointInTimeJob(RetrievalJob):  # type: ignore[misc]  # feast ships no types
    """One historical retrieval, run when its result is asked for."""

    def __init__(
        self,
        *,
        entities: pa.Table,
        wanted: dict[FeatureView, list[str]],
        feature_refs: Sequence[str],
        full_feature_names: bool,
        computed_by_then: bool,
    ) -> None:
        self._entities = entities
        self._computed_by_then = computed_by_then
        self._wanted = wanted
        self._feature_refs = list(feature_refs)
        self._full_feature_names = full_feature_names

    @property
    def full_feature_names(self) -> bool:
        """Whether result columns carry their view's name."""
        return self._full_feature_names

    @property
    def on_demand_feature_views(self) -> list[Any]:
        """None: features are computed before they are stored."""
        return []

    @property
    def metadata(self) -> RetrievalMetadata:
        """What was asked for."""
        return RetrievalMetadata(features=self._feature_refs, keys=self._entities.column_names[1:])

    def persist(self, storage: SavedDatasetStorage, allow_overwrite: bool | None = False, timeout: int | None = None) -> None:
        """Not offered; `to_arrow()` gives the rows to write."""
        raise NotImplementedError("write the result of to_arrow() instead of persisting a saved dataset")

    def _to_arrow_internal(self, timeout: int | None = None) -> pa.Table:  # noqa: ARG002  (Feast's signature)
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            connection.register("entities", self._entities)
            result: pa.Table = connection.sql(self._query()).to_arrow_table()
        return result

    def _to_df_internal(self, timeout: int | None = None) -> pd.DataFrame:
        frame: pd.DataFrame = self._to_arrow_internal(timeout).to_pandas()
        return frame

    def _query(self) -> str:
        views = [
            _View(view, features, prefixed=self._full_feature_names, computed_by_then=self._computed_by_then)
            for view, features in self._wanted.items()
        ]
        columns = ", ".join([f"entities.* EXCLUDE ({ROW})", *(column for view in views for column in view.columns)])
        joins = " ".join(f"LEFT JOIN ({view.query}) AS {_quoted(view.name)} USING ({ROW})" for view in views)
        return f"SELECT {columns} FROM entities {joins} ORDER BY {ROW}"


class _View:
    """The SQL of one view: its newest row at or before each entity row's moment."""

    def __init__(self, view: FeatureView, features: Sequence[str], *, prefixed: bool, computed_by_then: bool) -> None:
        self._view = view
        self._computed_by_then = computed_by_then
        self.name = view.projection.name_to_use()
        self.columns = [
            f"{_quoted(self.name)}.{_quoted(feature)} AS {_quoted(f'{self.name}__{feature}' if prefixed else feature)}"
            for feature in features
        ]
        self._features = [f"known.{_quoted(feature)}" for feature in features]

    @property
    def query(self) -> str:
        """Entity row number and features, one row for each entity row that has a value."""
        source = self._view.batch_source
        moment = f"known.{_quoted(source.timestamp_field)}"
        created = f"known.{_quoted(source.created_timestamp_column)}"
        conditions = [f"known.{_quoted(key)} = entities.{_quoted(asked)}" for key, asked in self._keys()]
        conditions.append(f"{moment} <= entities.{MOMENT}")
        if self._view.ttl:
            conditions.append(f"{moment} >= entities.{MOMENT} - INTERVAL {int(self._view.ttl.total_seconds())} SECOND")
        if self._computed_by_then:
            conditions.append(f"{created} <= entities.{MOMENT}")
        return (
            f"SELECT entities.{ROW}, {', '.join(self._features)} FROM entities "
            f"JOIN read_parquet({_partitions(Path(source.path))}, union_by_name = true) AS known ON {' AND '.join(conditions)} "
            f"QUALIFY row_number() OVER (PARTITION BY entities.{ROW} ORDER BY {moment} DESC, {created} DESC) = 1"
        )

    def _keys(self) -> list[tuple[str, str]]:
        renamed = self._view.projection.join_key_map
        return [(column.name, renamed.get(column.name, column.name)) for column in self._view.entity_columns]


def _entities(entity_df: pd.DataFrame) -> pa.Table:
    """Entity rows numbered in their order, moments as microseconds UTC (a moment without zone is UTC)."""
    rows = entity_df.reset_index(drop=True)
    rows = rows.assign(**{MOMENT: pd.to_datetime(rows[MOMENT], utc=True)})
    table = pa.Table.from_pandas(rows, preserve_index=False)
    table = table.set_column(table.schema.get_field_index(MOMENT), MOMENT, table.column(MOMENT).cast(TIMESTAMP, safe=False))
    return table.add_column(0, ROW, pa.array(range(table.num_rows), pa.int64()))


def _partitions(directory: Path) -> str:
    files = sorted(directory.glob(PARTITIONS))
    if not files:
        raise MissingTableError(directory.name, "of any day")
    return "[" + ", ".join("'" + str(path).replace("'", "''") + "'" for path in files) + "]"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
