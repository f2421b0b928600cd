"""The sample shop's behaviour as marts, and a vector per item that knows its category and tags."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from examples.shop.settings import SampleSettings
from examples.shop.simulate import write_sample
from ml.contracts import CONTRACTS
from ml.contracts.vectors import matrix_to_vectors

DIMENSION = 32


@dataclass(frozen=True)
class Marts:
    """What drift is measured on, all days."""

    interactions: pa.Table
    user_activity_daily: pa.Table
    items: pa.Table
    item_interests: pa.Table
    interest_points: pa.Table
    item_embeddings: pa.Table

    def empty(self) -> "Marts":
        """The same tables without a row."""
        return Marts(**{name: CONTRACTS[name].empty() for name in self.__dataclass_fields__})

    def change(self, **tables: pa.Table) -> "Marts":
        """Some tables replaced."""
        return replace(self, **tables)

    def arguments(self) -> dict[str, pa.Table]:
        """Tables by name, as `measure_drift` takes them."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


CATALOGUE = """
create table items as select * from read_json('{folder}/catalogue/items.jsonl', ignore_errors = true)
where sku is not null qualify row_number() over (partition by sku) = 1
"""
EVENTS = """
create table events as
select customer as user_id, sku as item_id, visit, try_cast(occurred_at as timestamp) as event_at,
       case action when 'view' then 1.0 when 'cart' then 2.0 else 4.0 end as weight
from read_csv('{folder}/events/*.csv.gz', all_varchar = true, ignore_errors = true)
where try_cast(occurred_at as timestamp) is not null and customer is not null and sku in (select sku from items)
"""
INTERACTIONS = """
select event_at::date as day, user_id, item_id, sum(weight) as weight, count(*) as num_events,
       min(event_at)::timestamptz as first_event_at, max(event_at)::timestamptz as last_event_at
from events group by all order by day, user_id, item_id
"""
ACTIVITY = """
select event_at::date as day, user_id, count(*) as num_events, count(distinct item_id) as num_items,
       count(distinct visit) as num_sessions, count(*) as num_positive, 0 as num_negative,
       sum(weight) as total_weight, max(event_at)::timestamptz as last_event_at
from events group by all order by day, user_id
"""
ITEMS = """
select date '2026-06-30' as day, sku as item_id, name as title, description as text, department || ' > ' || shelf as category,
       labels as tags, null as text_known_at, null as attributes, null as created_at, true as is_catalogued from items order by sku
"""
INTERESTS = """
with said as (
    select sku as item_id, 'tag:' || unnest(labels) as interest_id from items
    union all select sku, 'category:' || shelf from items
) select distinct item_id, interest_id, 0.5 as weight from said order by all
"""


def sample_marts(folder: Path, settings: SampleSettings) -> Marts:
    """Simulate and read back the rows that hold."""
    write_sample(folder, settings=settings)
    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        connection.execute(CATALOGUE.format(folder=folder))
        connection.execute(EVENTS.format(folder=folder))

        def table(name: str, query: str) -> pa.Table:
            return CONTRACTS[name].conform(connection.sql(query).to_arrow_table())

        items, interests = table("items", ITEMS), table("item_interests", INTERESTS)
        return Marts(
            interactions=table("interactions", INTERACTIONS),
            user_activity_daily=table("user_activity_daily", ACTIVITY),
            items=items,
            item_interests=interests,
            interest_points=_points(interests),
            item_embeddings=_embeddings(items, interests),
        )


def _points(interests: pa.Table) -> pa.Table:
    found = sorted(set(interests.column("interest_id").to_pylist()))
    rows = [
        {
            "interest_id": point,
            "name": point.partition(":")[2],
            "kind": point.partition(":")[0],
            "aliases": [],
            "num_items": 2,
            "specificity": 1.0,
            "space_id": "test",
            "vector": [0.0],
        }
        for point in found
    ]
    return pa.Table.from_pylist(rows, schema=CONTRACTS["interest_points"].schema)


def _embeddings(items: pa.Table, interests: pa.Table) -> pa.Table:
    """The sum of a fixed random vector for each of an item's interests, normalised."""

    def vector(word: str) -> np.ndarray:
        seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:4], "big")
        return np.random.default_rng(seed).standard_normal(DIMENSION)

    sums = {item: vector(item) * 0.3 for item in items.column("item_id").to_pylist()}
    for row in interests.to_pylist():
        sums[row["item_id"]] = sums[row["item_id"]] + vector(row["interest_id"])
    matrix = np.stack(list(sums.values()))
    matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
    columns = {"item_id": list(sums), "text_hash": [""] * len(sums), "space_id": ["test"] * len(sums), "vector": matrix_to_vectors(matrix)}
    return CONTRACTS["item_embeddings"].conform(pa.table(columns))


@pytest.fixture(scope="session")
def simulate(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Marts]:
    """Marts of a simulated shop with the given settings."""
    return lambda **settings: sample_marts(tmp_path_factory.mktemp("shop"), SampleSettings(**settings))


@pytest.fixture(scope="session")
def shop(simulate: Callable[..., Marts]) -> Marts:
    """A small shop of 60 days whose tastes shift in the last 7."""
    return simulate(num_users=400, num_items=300)


@pytest.fixture(scope="session")
def last_day() -> date:
    """The sample's last day."""
    return SampleSettings().last_day
