"""What re-ranking knows of items: vectors, labels to count by, age, stock. In the order of a release's item positions.

Read once per release from the table `items`; the rules that use it are `ml.ranking.rerank`'s. Shapes: I items, D dimensions.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ml.contracts.contract import TIMESTAMP
from ml.errors import ConfigError
from ml.ids import BoolArray, FloatArray, IntArray, Vocabulary
from ml.ranking.item_attributes import Attributes
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
        attributes_I: Sequence[Attributes],
        labelled: Collection[str] = (),
        stock_attribute: str | None = None,
        out_of_stock_values: Collection[str] = (),
    ) -> Self:
        """Facts of the items of `order` from a day's `items`; items it lacks have no category and are always known.

        `attributes_I` are what `item_attributes` read of them. Labels are the category and each attribute in `labelled` (the first of
        several values). An item is out of stock where `stock_attribute` is one of `out_of_stock_values`, by any case. Raises
        `ConfigError` for a name that no item has, `ValueError` for vectors or attributes of other items.
        """
        if not len(vectors_ID) == len(attributes_I) == len(order):
            raise ValueError(f"there are {len(vectors_ID)} vectors and attributes of {len(attributes_I)} for {len(order)} items")
        position_N, is_known_N = order.find(items.column("item_id"))
        known = items.filter(pa.array(is_known_N))
        category: list[str | None] = [None] * len(order)
        created_at_I = np.full(len(order), np.datetime64("NaT"), dtype="datetime64[us]")
        for position, label in zip(position_N[is_known_N].tolist(), known.column(CATEGORY).to_pylist(), strict=True):
            category[position] = label
        created_at_I[position_N[is_known_N]] = known.column("created_at").cast(TIMESTAMP).to_numpy()
        _require_attributes({*labelled, *([stock_attribute] if stock_attribute else [])} - {CATEGORY}, given=attributes_I)
        labels = {CATEGORY: Labels.of(category)}
        labels |= {name: Labels.of([_first(one, name) for one in attributes_I]) for name in labelled if name != CATEGORY}
        gone = {value.casefold() for value in out_of_stock_values}
        is_gone_I = [stock_attribute is not None and (_first(one, stock_attribute) or "").casefold() in gone for one in attributes_I]
        return cls(unit_rows(vectors_ID), labels, created_at_I, np.array(is_gone_I, dtype=np.bool_))

    def age_in_days(self, item_N: IntArray, *, as_of: datetime) -> npt.NDArray[np.float64]:
        """Days since these items appeared, at least 0, inf for those always known; `as_of` is UTC. Shape [N]."""
        if as_of.tzinfo is None:
            raise ValueError(f"as_of {as_of} has no time zone; pass UTC")
        since_N = np.datetime64(int(as_of.timestamp() * 1e6), "us") - self.created_at_I[item_N]
        return np.where(np.isnat(since_N), np.inf, np.maximum(since_N / _DAY, 0.0))


def _first(attributes: Attributes, name: str) -> str | None:
    return attributes[name][0] if name in attributes else None


def _require_attributes(names: Iterable[str], *, given: Sequence[Attributes]) -> None:
    known = sorted({name for one in given for name in one})
    absent = sorted(set(names) - set(known))
    if absent:
        raise ConfigError(f"reranking names {', '.join(absent)}, which no item has; items have: {', '.join([CATEGORY, *known])}")
