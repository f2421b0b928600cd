"""Attributes of items as people filter by them and rules count them: a day's JSON read once, one rule for every value.

What of them joins items in the graph is `ml.knowledge.attributes`'s. Shapes: N rows of the table.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa

from ml.errors import ContractError

Attributes = Mapping[str, tuple[str, ...]]


def item_attributes(items: pa.Table) -> list[Attributes]:
    """Each item's values by attribute, in the order given, shape [N]; an attribute without a value is not there.

    Values are texts, numbers, true and false, or lists of them, written as in JSON; anything else, and blank texts, are none. Raises
    `ContractError` for attributes that are no JSON object.
    """
    columns = (items.column(name).to_pylist() for name in ("item_id", "attributes"))
    return [_read(text, item_id=item_id) for item_id, text in zip(*columns, strict=True)]


def _read(text: str | None, *, item_id: str) -> Attributes:
    if text is None:
        return {}
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise ContractError("items", [f"attributes of {item_id} are no JSON: {error}"]) from error
    if not isinstance(content, dict):
        raise ContractError("items", [f"attributes of {item_id} are {type(content).__name__}, not a JSON object"])
    found = {name: tuple(_texts(value)) for name, value in content.items()}
    return {name: values for name, values in found.items() if values}


def _texts(value: Any) -> Iterator[str]:
    for part in value if isinstance(value, list) else [value]:
        if isinstance(part, bool):
            yield str(part).lower()
        elif isinstance(part, (str, int, float)) and str(part).strip():
            yield str(part)
