"""Attribute values of items that can join them: read from JSON, identifiers and measurements left out.

An attribute is useful to a graph where items share its values. What remains is
made into triples by `ml.knowledge.triples`.
"""

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ml.errors import ContractError
from ml.ids import FloatArray
from ml.names import normalise_names, snake_case_names

MAX_VALUE_LENGTH = 60
# A number of more values is a measurement (a price), not a class (a number of seats).
MAX_DISTINCT_NUMBERS = 50
# An attribute whose values are this seldom shared names its item (an ISBN). Fewer values than that show nothing.
IDENTIFIER_SHARE = 0.95
IDENTIFIER_MIN_VALUES = 10

# What an attribute must be called to be read as a price.
PRICE_ATTRIBUTE = "price"

MALFORMED = """
select item_id, left(attributes, 80) as shown from items
where attributes is not null and case when json_valid(attributes) then json_type(attributes) <> 'OBJECT' else true end
order by item_id
"""

VALUES = """
with given as (
    select item_id, pair.key as attribute, pair.value as found, pair.type as kind
    from items, json_each(items.attributes) as pair
),
single as (
    select item_id, attribute, unnest(case when kind = 'ARRAY' then from_json(found, '["JSON"]') else [found] end) as found
    from given
)
select item_id, attribute, trim(found ->> '$') as value
from single
where json_type(found) not in ('OBJECT', 'ARRAY', 'NULL') and length(trim(found ->> '$')) between 1 and $longest
"""

JOINING = """
with kept as (
    select
        attribute,
        count(distinct value_key) as num_values,
        count(distinct (item_id, value_key)) as num_pairs,
        bool_and(try_cast(value as double) is not null) as is_number
    from found
    where attribute <> '' and value_key <> ''
    group by attribute
    having not (is_number and num_values > $numbers)
        and not (num_pairs >= $least and num_values > $identifier * num_pairs)
)
select item_id, attribute, value_key, value from found
where value_key <> '' and attribute in (select attribute from kept)
"""


PRICES = """
select case when price > 0 and isfinite(price) then price end as price
from (select row_number() over () as row, try_cast(attributes ->> $attribute as double) as price from items)
order by row
"""


def attribute_values(items: pa.Table) -> pa.Table:
    """Columns `item_id`, `attribute` (snake_case), `value_key` (normalised), `value` (as given), a row per value.

    Lists give a row per element; nested objects, nulls, texts longer than 60 characters,
    numbers of many values and identifiers give none. Raises `ContractError` naming every
    item whose `attributes` are no JSON object.
    """
    with duckdb.connect(":memory:") as connection:
        connection.register("items", items.select(["item_id", "attributes"]))
        malformed = connection.execute(MALFORMED).fetchall()
        if malformed:
            raise ContractError("items", [_failure(item_id, shown) for item_id, shown in malformed])
        found = connection.sql(VALUES, params={"longest": MAX_VALUE_LENGTH}).to_arrow_table()
        connection.register("found", _normalise(found))
        limits = {"numbers": MAX_DISTINCT_NUMBERS, "least": IDENTIFIER_MIN_VALUES, "identifier": IDENTIFIER_SHARE}
        return connection.sql(JOINING, params=limits).to_arrow_table()


def item_prices(items: pa.Table) -> FloatArray:
    """The attribute `price` of each row, in whatever currency the catalogue has; nan where it is no number above 0, shape [I]."""
    with duckdb.connect(":memory:") as connection:
        connection.register("items", items.select(["attributes"]))
        found = connection.sql(PRICES, params={"attribute": PRICE_ATTRIBUTE}).to_arrow_table()
    return np.asarray(found.column("price").to_numpy(), dtype=np.float32)


def _normalise(found: pa.Table) -> pa.Table:
    values = found.column("value")
    found = found.set_column(1, "attribute", snake_case_names(found.column("attribute")))
    return found.append_column("value_key", normalise_names(pc.cast(values, pa.string())))


def _failure(item_id: str, shown: str) -> str:
    return f'item {item_id!r}: column attributes is no JSON object: {shown!r}; write it as {{"name": value}}, or leave it null'
