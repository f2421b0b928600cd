"""What re-ranking knows of items: vectors, labels to count by, age, stock. In the order of a release's item positions.

Read once per release from the table `items`; the rules that use it are `ml.ranking.rerank`'s. Shapes: I items, D dimensions.
"""

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ml.contracts.contract import TIMESTAMP
from ml.errors import ConfigError, ContractError
from ml.ids import BoolArray, FloatArray, IntArray, Vocabulary
from ml.unit_rows import unit_rows

CATEGORY = "category"
_DAY = np.timedelta64(1, "D")


@dataclass(frozen=True)
class Labels:
    """One label per item: a position in `names`, -1 where the item has none, shape [I]."""

    code_I: IntArray
    names: tuple[str, ...]

    @classmethod
    def of(cls, values: Sequence[str | None]) -> Self:
        """The labels of items in order."""
        names = tuple(sorted({value for value in values if value is not None}))
        place = {name: code for code, name in enumerate(names)}
        return cls(np.array([-1 if value is None else place[value] for value in values], dtype=np.int64), names)


@dataclass(frozen=True)
class ItemFacts:
    """Unit vectors [I, D] (zeros where an item has none), labels by attribute, UTC creation (NaT: always known) and stock, [I]."""

    vectors_ID: FloatArray
    labels: dict[str, Labels]
    created_at_I: npt.NDArray[np.datetime64]
    is_out_of_stock_I: BoolArray

    def __len__(self) -> int:
        return len(self.vectors_ID)

    def __post_init__(self) -> None:
        """Refuse parts over different items."""
        found = {"created_at_I": self.created_at_I.shape, "is_out_of_stock_I": self.is_out_of_stock_I.shape}
        found |= {f"labels {name}": labels.code_I.shape for name, labels in self.labels.items()}
        wrong = [f"{name} has shape {shape}" for name, shape in found.items() if shape != (len(self.vectors_ID),)]
        if wrong:
            raise ValueError(f"the vectors are of {len(self.vectors_ID)} items, but {', '.join(wrong)}")

    @classmethod
    def from_table(
        cls,
        items: pa.Table,
        *,
        order: Vocabulary,
        vectors_ID: FloatArray,
        attributes: Collection[str] = (),
        stock_attribute: str | None = None,
        out_of_stock_values: Collection[str] = (),
    ) -> Self:
        """Facts of the items of `order` from a day's `items`; items it lacks have no label, are always known and in stock.

        Labels are the category and each of `attributes` (the first of several values). An item is out of stock where `stock_attribute` is
        one of `out_of_stock_values`, by any case. Raises `ConfigError` for a name that no item has, `ContractError` for
        attributes that are no JSON object, `ValueError` for vectors of other items.
        """
        if len(vectors_ID) != len(order):
            raise ValueError(f"there are {len(vectors_ID)} vectors for {len(order)} items")
        position_N, is_known_N = order.find(items.column("item_id"))
        known = items.filter(pa.array(is_known_N))
        given: list[dict[str, Any]] = [{} for _ in range(len(order))]
        category: list[str | None] = [None] * len(order)
        created_at_I = np.full(len(order), np.datetime64("NaT"), dtype="datetime64[us]")
        columns = (known.column(name).to_pylist() for name in ("item_id", "attributes", CATEGORY))
        for position, item_id, text, label in zip(position_N[is_known_N].tolist(), *columns, strict=True):
            given[position], category[position] = _attributes_of(text, item_id=item_id), label
        created_at_I[position_N[is_known_N]] = known.column("created_at").cast(TIMESTAMP).to_numpy()
        _require_attributes({*attributes, *([stock_attribute] if stock_attribute else [])} - {CATEGORY}, given=given)
        labels = {CATEGORY: Labels.of(category)}
        labels |= {name: Labels.of([_value(one.get(name)) for one in given]) for name in attributes if name != CATEGORY}
        gone = {value.casefold() for value in out_of_stock_values}
        is_gone_I = [stock_attribute is not None and (_value(one.get(stock_attribute)) or "").casefold() in gone for one in given]
        return cls(unit_rows(vectors_ID), labels, created_at_I, np.array(is_gone_I, dtype=np.bool_))

    def age_in_days(self, item_N: IntArray, *, as_of: datetime) -> npt.NDArray[np.float64]:
        """Days since these items appeared, at least 0, inf for those always known; `as_of` is UTC. Shape [N]."""
        if as_of.tzinfo is None:
            raise ValueError(f"as_of {as_of} has no time zone; pass UTC")
        since_N = np.datetime64(int(as_of.timestamp() * 1e6), "us") - self.created_at_I[item_N]
        return np.where(np.isnat(since_N), np.inf, np.maximum(since_N / _DAY, 0.0))


def _attributes_of(text: str | None, *, item_id: str) -> dict[str, Any]:
    if text is None:
        return {}
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        raise ContractError("items", [f"attributes of {item_id} are no JSON: {error}"]) from error
    if not isinstance(found, dict):
        raise ContractError("items", [f"attributes of {item_id} are {type(found).__name__}, not a JSON object"])
    return found


def _value(found: Any) -> str | None:
    """A value as text, the first of several, None where there is none."""
    first = next(iter(found), None) if isinstance(found, list) else found
    if first is None or isinstance(first, dict):
        return None
    return str(first).lower() if isinstance(first, bool) else str(first)


def _require_attributes(names: Iterable[str], *, given: Sequence[dict[str, Any]]) -> None:
    known = sorted({name for one in given for name in one})
    absent = sorted(set(names) - set(known))
    if absent:
        raise ConfigError(f"reranking names {', '.join(absent)}, which no item has; items have: {', '.join([CATEGORY, *known])}")
