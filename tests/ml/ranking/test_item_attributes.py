"""Attributes as filters and rules read them: one rule for every kind of value."""

import pyarrow as pa
import pytest

from ml.errors import ContractError
from ml.ranking.item_attributes import item_attributes


def items(*attributes: str | None) -> pa.Table:
    return pa.table({"item_id": [f"i{number}" for number in range(len(attributes))], "attributes": pa.array(attributes, pa.string())})


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, {}),
        ("{}", {}),
        ('{"brand": "Lumora"}', {"brand": ("Lumora",)}),
        ('{"brand": ["Acme", "Lumora"], "seats": 4, "price": 1.5}', {"brand": ("Acme", "Lumora"), "seats": ("4",), "price": ("1.5",)}),
        ('{"in_stock": true, "sizes": [false, "s"]}', {"in_stock": ("true",), "sizes": ("false", "s")}),
        ('{"a": null, "b": {"c": 1}, "d": [], "e": " ", "f": [null, [1], {}, "x"]}', {"f": ("x",)}),
    ],
)
def test_values_are_texts_as_json_writes_them_and_what_is_none_is_left_out(given, expected) -> None:
    assert item_attributes(items(given)) == [expected]


@pytest.mark.parametrize(
    ("given", "message"), [("[1]", "attributes of i1 are list, not a JSON object"), ("{", "attributes of i1 are no JSON")]
)
def test_what_is_no_object_is_refused_by_item(given, message) -> None:
    with pytest.raises(ContractError, match=message):
        item_attributes(items("{}", given))
