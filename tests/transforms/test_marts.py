"""Marts of three literal days: what they hold, and that every file keeps its contract."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ml.contracts import TableContract
from ml.contracts.behaviour import MART_TABLES
from tests.transforms.dbt_home import DAY_2, DAY_3, FIRST_DAY, Home, at

DAYS = (FIRST_DAY, DAY_2, DAY_3)
FEBRUARY = at("2024-02-10T00:00:00").date()


def test_interactions_are_signed_sums_per_user_item_and_day(built_home: Home) -> None:
    assert built_home.rows("interactions", FIRST_DAY) == [
        interaction(FEBRUARY, "ann", "tea", 1.0, 1, "2024-02-10T10:00:00", "2024-02-10T10:00:00"),
        interaction(FIRST_DAY, "ann", "tea", 2.0, 1, "2024-03-01T09:00:00", "2024-03-01T09:00:00"),
        # Delivered twice, happened once.
        interaction(FIRST_DAY, "bob", "cup", 4.0, 1, "2024-03-01T10:00:01", "2024-03-01T10:00:01"),
    ]
    assert built_home.rows("interactions", DAY_2) == [
        # A correction moved it here from the day before; e1 moved from here to February.
        interaction(DAY_2, "ann", "cup", 1.0, 1, "2024-03-02T12:00:00", "2024-03-02T12:00:00"),
        interaction(DAY_2, "ann", "tea", -1.0, 2, "2024-03-02T00:00:00", "2024-03-02T00:10:00"),
        # A rating without its number counts as an event and weighs nothing.
        interaction(DAY_2, "bob", "mug", 1.0, 2, "2024-03-02T13:00:00", "2024-03-02T23:00:00"),
    ]


def interaction(day: object, user_id: str, item_id: str, weight: float, num_events: int, first: str, last: str) -> dict[str, object]:
    key = {"day": day, "user_id": user_id, "item_id": item_id}
    return {**key, "weight": weight, "num_events": num_events, "first_event_at": at(first), "last_event_at": at(last)}


def test_items_are_what_was_known_at_each_days_end(built_home: Home) -> None:
    tea = {"item_id": "tea", "title": "茶", "tags": ["drink", "热饮"], "is_catalogued": True}
    cup_unknown = {"item_id": "cup", "title": "cup", "tags": [], "is_catalogued": False, "created_at": at("2024-03-01T10:00:01")}
    cup_known = {
        "item_id": "cup",
        "title": "Cup, blue",
        "text": "holds tea",
        "tags": [],
        "attributes": '{"colour": "blue"}',
        "created_at": at("2024-03-02T09:00:00"),
        "is_catalogued": True,
    }
    mug = {
        **cup_unknown,
        "item_id": "mug",
        "title": "mug",
        "text": "nice handle",
        "text_known_at": at("2024-03-02T13:00:00"),
        "created_at": at("2024-03-02T13:00:00"),
    }
    assert stated(built_home.rows("items", FIRST_DAY)) == [
        {**cup_unknown, "day": FIRST_DAY},
        {**tea, "day": FIRST_DAY, "text": "很香的茶", "text_known_at": at("2024-03-01T09:00:00")},
    ]
    for day in (DAY_2, DAY_3):
        assert stated(built_home.rows("items", day)) == [
            {**cup_known, "day": day},
            {**mug, "day": day},
            {**tea, "day": day, "text": "很香的茶\ntasted of soap", "text_known_at": at("2024-03-02T00:00:00")},
        ]


def stated(rows: list[dict[str, object]]) -> list[dict[str, object]]:
    """Rows without their nulls."""
    return [{name: value for name, value in row.items() if value is not None} for row in rows]


def test_user_activity_counts_searches_and_sessions(built_home: Home) -> None:
    names = ("day", "user_id", "num_events", "num_items", "num_sessions", "num_positive", "num_negative", "total_weight")
    activity = [tuple(row[name] for name in names) for day in DAYS for row in built_home.rows("user_activity_daily", day)]
    assert activity == [
        (FEBRUARY, "ann", 1, 1, 1, 1, 0, 1.0),
        (FIRST_DAY, "ann", 1, 1, 1, 1, 0, 2.0),
        (FIRST_DAY, "bob", 1, 1, 1, 1, 0, 4.0),
        (FIRST_DAY, "cat", 1, 0, 1, 1, 0, 0.5),
        (DAY_2, "ann", 3, 2, 2, 2, 1, 0.0),
        (DAY_2, "bob", 2, 1, 1, 1, 0, 1.0),
    ]


def test_popularity_counts_events_and_people(built_home: Home) -> None:
    popularity = [tuple(row.values()) for row in built_home.rows("item_popularity_daily", DAY_2)]
    assert popularity == [(DAY_2, "cup", 1, 1, 1, 1.0), (DAY_2, "mug", 2, 1, 1, 1.0), (DAY_2, "tea", 2, 1, 1, -1.0)]


def test_texts_keep_their_words_and_reviews_have_items(built_home: Home) -> None:
    texts = [(row["event_id"], row["item_id"], row["text"]) for day in DAYS for row in built_home.rows("user_texts", day)]
    assert texts == [("e2", "tea", "很香的茶"), ("e4", None, "绿茶"), ("e5", "tea", "tasted of soap"), ("e7", "mug", "nice handle")]
    reviews = [(row["event_id"], row["value"], row["weight"]) for day in DAYS for row in built_home.rows("reviews", day)]
    assert reviews == [("e2", 5.0, 2.0), ("e5", 1.0, -2.0), ("e7", None, 0.0)]


@pytest.mark.parametrize("contract", MART_TABLES, ids=lambda contract: contract.name)
def test_every_file_has_the_contracts_columns(built_home: Home, contract: TableContract) -> None:
    # DuckDB cannot write "required" reliably, so files say optional everywhere and the store's cast checks for nulls.
    optional = pa.schema([pa.field(column.name, column.dtype) for column in contract.columns])
    for day in DAYS:
        assert pq.read_schema(built_home.tables.path(contract.name, day)).equals(optional)
        table = built_home.tables.read(contract, day=day)
        assert table.schema == contract.schema
        assert contract.conform(table).equals(table)


def test_a_day_without_events_is_a_file_without_rows(built_home: Home) -> None:
    empty = [contract.name for contract in MART_TABLES if not built_home.rows(contract.name, DAY_3)]
    assert empty == [contract.name for contract in MART_TABLES if contract.grain == "daily"]


def test_nothing_but_partitions_is_left_behind(built_home: Home) -> None:
    assert sorted(built_home.hashes()) == sorted(f"{contract.name}/{day}" for contract in MART_TABLES for day in DAYS)


def test_dbts_unit_tests_ran_and_passed(built_home: Home) -> None:
    results = built_home.artifact("run_results")["results"]
    outcomes = {(result["unique_id"].split(".")[2], result["status"]) for result in results if result["unique_id"].startswith("unit_test.")}
    marts = {"interactions", "items", "item_popularity_daily", "user_activity_daily"}
    tested = {"stg_events", "int_events_deduplicated", "int_sessions", *marts}
    assert outcomes == {(model, "pass") for model in tested}


def test_events_without_a_weight_are_warned_about(built_home: Home) -> None:
    results = built_home.artifact("run_results")["results"]
    warned = [(result["unique_id"].split(".")[2], result["failures"]) for result in results if result["status"] == "warn"]
    assert warned == [("weights_say_something_about_every_event", 1)]
