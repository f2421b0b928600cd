"""At most so many items per label in one list, by any attribute of items. Shapes: N candidates."""

from collections.abc import Mapping

import numpy as np

from ml.errors import ConfigError
from ml.ids import BoolArray, IntArray
from ml.ranking.item_facts import ItemFacts

NO_ITEMS: IntArray = np.zeros(0, dtype=np.int64)


class Caps:
    """Counts what a list holds; candidates whose label is full are closed. An item without a label is never capped."""

    def __init__(self, limits: Mapping[str, int], *, facts: ItemFacts, item_N: IntArray, above: IntArray = NO_ITEMS) -> None:
        """`limits` by attribute, 1 or more. `above` are items that stand in the list already.

        Raises `ConfigError` for an attribute that `facts` has no labels of.
        """
        unknown = sorted(set(limits) - set(facts.labels))
        if unknown:
            raise ConfigError(f"reranking.caps names {', '.join(unknown)}; items were read with: {', '.join(sorted(facts.labels))}")
        if any(limit < 1 for limit in limits.values()):
            raise ValueError(f"caps must be 1 or more, not {dict(limits)}")
        self._limits = dict(limits)
        self._names = {name: facts.labels[name].names for name in limits}
        self._codes = {name: facts.labels[name].code_I[item_N] for name in limits}
        self._counts = {name: _counts(facts.labels[name].code_I[above], num_labels=len(facts.labels[name].names)) for name in limits}
        self.is_open_N: BoolArray = np.ones(len(item_N), dtype=np.bool_)
        for name, code_N in self._codes.items():
            full = np.flatnonzero(self._counts[name] >= limits[name])
            self.is_open_N &= ~np.isin(code_N, full)

    def take(self, place: int) -> None:
        """Count a candidate and close those whose label is now full."""
        for name, code_N in self._codes.items():
            code = code_N[place]
            if code >= 0:
                self._counts[name][code] += 1
                if self._counts[name][code] >= self._limits[name]:
                    self.is_open_N &= code_N != code

    def closed_by(self, place: int) -> tuple[str, str, int]:
        """Attribute, label and limit that closed a candidate; it must be closed."""
        for name, code_N in self._codes.items():
            code = code_N[place]
            if code >= 0 and self._counts[name][code] >= self._limits[name]:
                return name, self._names[name][code], self._limits[name]
        raise ValueError(f"candidate {place} is open")


def _counts(code_A: IntArray, *, num_labels: int) -> IntArray:
    counts: IntArray = np.bincount(code_A[code_A >= 0], minlength=num_labels).astype(np.int64)
    return counts
