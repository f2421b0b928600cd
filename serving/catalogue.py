"""What the service knows of items: what they are called, what they have, how popular they are, and who of them may be offered.

Shapes: I items of the catalogue, in the order of its vocabulary.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
import pyarrow as pa

from ml.ids import BoolArray, FloatArray, IntArray, Vocabulary
from ml.names import normalise_names
from ml.ranking.item_attributes import Attributes, item_attributes

# How levels of a category are joined.
LEVEL = " > "
# Besides its attributes an item has these two, by which it can be filtered as by any other.
CATEGORY, TAGS = "category", "tags"

Values = tuple[str, ...]


@dataclass(frozen=True)
class Catalogue:
    """Items of a day by position; `popularity_I` is in [0, 1], 1 the most popular, 0 nobody lately."""

    items: Vocabulary
    title_I: Values
    category_I: Values
    tags_I: tuple[Values, ...]
    attributes_I: tuple[Attributes, ...]
    popularity_I: FloatArray

    @classmethod
    def of(cls, items: pa.Table, *, item_features: pa.Table) -> "Catalogue":
        """From the day's `items` and `item_features`."""
        items = items.sort_by("item_id")
        vocabulary = Vocabulary("item", items.column("item_id"))
        return cls(
            items=vocabulary,
            title_I=tuple(items.column("title").to_pylist()),
            category_I=tuple(category or "" for category in items.column("category").to_pylist()),
            tags_I=tuple(tuple(tags or ()) for tags in items.column("tags").to_pylist()),
            attributes_I=tuple(item_attributes(items)),
            popularity_I=_popularity(item_features, order=vocabulary),
        )

    def __len__(self) -> int:
        return len(self.items)

    def positions(self, item_ids: Sequence[str]) -> IntArray:
        """Positions of the ids that are known, in the order given, each once."""
        found, known = self.items.find(list(dict.fromkeys(item_ids)))
        return found[known]

    def mask(self, item_ids: Sequence[str]) -> BoolArray:
        """True at the known ids, shape [I]."""
        marked_I = np.zeros(len(self), dtype=np.bool_)
        marked_I[self.positions(item_ids)] = True
        return marked_I

    def having(self, name: str, wanted: Iterable[str]) -> BoolArray:
        """Items one of whose values of `name` is among `wanted`, spelling of names aside, shape [I].

        A category is had by everything below it: `Garden` by `Garden > Tools`.
        """
        had_I = np.zeros(len(self), dtype=np.bool_)
        if name in self._having:
            for key in _keys(wanted):
                had_I[self._having[name].items.get(key, [])] = True
        return had_I

    @cached_property
    def attribute_names(self) -> frozenset[str]:
        """What items can be filtered by."""
        return frozenset({CATEGORY, TAGS, *(name for attributes in self.attributes_I for name in attributes)})

    @cached_property
    def values(self) -> Mapping[str, Mapping[str, str]]:
        """Every value of every attribute, as given, by name and by its normal spelling."""
        return {name: had.given for name, had in self._having.items()}

    @cached_property
    def _having(self) -> Mapping[str, "_Having"]:
        """Found once for all requests: spelling a name normally costs more than looking it up."""
        return {name: _Having.of([self.given(name, item) for item in range(len(self))]) for name in sorted(self.attribute_names)}

    def given(self, name: str, item: int) -> Values:
        """What an item, by position, has of an attribute; of its category every level, the whole of it last."""
        if name == CATEGORY:
            levels = self.category_I[item].split(LEVEL) if self.category_I[item] else []
            return tuple(LEVEL.join(levels[: depth + 1]) for depth in range(len(levels)))
        return self.tags_I[item] if name == TAGS else self.attributes_I[item].get(name, ())


@dataclass(frozen=True)
class _Having:
    """Of one attribute every value as given, and the positions of the items that have it, both by its normal spelling."""

    given: Mapping[str, str]
    items: Mapping[str, IntArray]

    @classmethod
    def of(cls, values_I: Sequence[Values]) -> Self:
        distinct = list(dict.fromkeys(value for values in values_I for value in values))
        key_of = dict(zip(distinct, _keys(distinct), strict=True))
        items = defaultdict(list)
        for item, values in enumerate(values_I):
            for value in values:
                items[key_of[value]].append(item)
        given = {key: value for value, key in key_of.items()}
        return cls(given, {key: np.array(positions, dtype=np.int64) for key, positions in items.items()})


def _keys(names: Iterable[str]) -> list[str]:
    keys: list[str] = normalise_names(pa.array(list(names), pa.string())).to_pylist()
    return keys


def _popularity(item_features: pa.Table, *, order: Vocabulary) -> FloatArray:
    """The share of the catalogue that is less popular; 0 without any interaction in the window."""
    place, known = order.find(item_features.column("item_id"))
    rank_N = np.asarray(item_features.column("popularity_rank"), dtype=np.float64)[known]
    is_popular_N = np.asarray(item_features.column("total_weight_28d"), dtype=np.float64)[known] > 0
    share_I = np.zeros(len(order), dtype=np.float32)
    share_I[place[known]] = np.where(is_popular_N, 1.0 - (rank_N - 1.0) / max(len(order), 1), 0.0)
    return share_I
