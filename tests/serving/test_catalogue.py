"""What items can be asked for by."""

import json

import numpy as np
import pytest

from ml.contracts.behaviour import ITEMS
from ml.contracts.outputs import ITEM_FEATURES
from serving.asking import Limits
from serving.catalogue import Catalogue


def table(contract, rows):
    import pyarrow as pa

    empty = contract.empty()
    columns = {field.name: pa.array([row.get(field.name) for row in rows], field.type) for field in empty.schema}
    return pa.table(columns)


@pytest.fixture
def catalogue() -> Catalogue:
    items = [
        {
            "item_id": "c",
            "title": "Tent",
            "category": "Garden > Camping",
            "tags": ["canvas"],
            "attributes": json.dumps({"brand": "Lumora", "seats": 4, "in_stock": True}),
        },
        {
            "item_id": "a",
            "title": "Spade",
            "category": "Garden > Tools",
            "tags": [],
            "attributes": json.dumps({"brand": ["ACME", "Lumora"]}),
        },
        {"item_id": "b", "title": "水壶", "category": None, "tags": ["户外", "Canvas"], "attributes": None},
    ]
    features = [
        {"item_id": "a", "popularity_rank": 1, "total_weight_28d": 5.0},
        {"item_id": "b", "popularity_rank": 2, "total_weight_28d": 1.0},
        {"item_id": "c", "popularity_rank": 3, "total_weight_28d": 0.0},
    ]
    return Catalogue.of(table(ITEMS, items), item_features=table(ITEM_FEATURES, features))


@pytest.mark.parametrize(
    ("name", "wanted", "expected"),
    [
        ("category", ["garden"], [True, False, True]),
        ("category", ["Garden > Tools"], [True, False, False]),
        ("category", ["Tools"], [False, False, False]),
        ("brand", ["lumora"], [True, False, True]),
        ("brand", ["acme", "nobody"], [True, False, False]),
        ("tags", ["CANVAS"], [False, True, True]),
        ("tags", ["户外"], [False, True, False]),
        ("seats", ["4"], [False, False, True]),
        ("in_stock", ["true"], [False, False, True]),
        ("colour", ["red"], [False, False, False]),
        ("brand", [], [False, False, False]),
    ],
)
def test_items_are_found_by_their_values(catalogue, name, wanted, expected) -> None:
    assert catalogue.having(name, wanted).tolist() == expected


def test_popularity_is_a_share_of_the_catalogue_and_0_for_what_nobody_wants(catalogue) -> None:
    np.testing.assert_allclose(catalogue.popularity_I, [1.0, 2 / 3, 0.0], rtol=1e-6)


def test_values_are_told_as_they_were_given(catalogue) -> None:
    assert catalogue.attribute_names == {"brand", "category", "in_stock", "seats", "tags"}
    assert catalogue.values["brand"] == {"acme": "ACME", "lumora": "Lumora"}
    assert catalogue.values["category"]["garden > camping"] == "Garden > Camping"


def test_unknown_ids_are_left_out_and_none_is_taken_twice(catalogue) -> None:
    assert catalogue.positions(["c", "zzz", "a", "c"]).tolist() == [2, 0]
    assert catalogue.mask(["zzz"]).tolist() == [False, False, False]


def test_limits_hold_together(catalogue) -> None:
    assert Limits().offered(catalogue).all()
    assert Limits(exclude=frozenset({"a", "zzz"})).offered(catalogue).tolist() == [False, True, True]
    assert Limits(allow=frozenset()).offered(catalogue).tolist() == [False, False, False]
    both = Limits(allow=frozenset({"a", "c"}), filters={"brand": ["Lumora"]}, avoid={"category": ["Garden > Camping"]})
    assert both.offered(catalogue).tolist() == [True, False, False]
    assert both.is_narrow()
    assert not Limits(exclude=frozenset({"a"})).is_narrow()


def test_an_empty_catalogue_is_no_error() -> None:
    empty = Catalogue.of(table(ITEMS, []), item_features=table(ITEM_FEATURES, []))
    assert Limits(filters={"brand": ["x"]}).offered(empty).tolist() == []
    assert empty.values == {"category": {}, "tags": {}}
