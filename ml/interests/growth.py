"""Codes that stay what they are while a catalogue grows: the growth is replayed, from what was known first to what is known now.

A day must not depend on which days were built before it (docs/adr/0005), so the past comes from the
items' own times of appearing: every day goes through the same steps up to its own, and reaches
the same codes. Shapes: I items, C codes, L levels.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ml.config.pipeline import InterestConfig
from ml.ids import FloatArray, IntArray
from ml.interests.codebook import Codebook, assign, empty_codebook, grow
from ml.interests.exact import Floats, lots, on_grid
from ml.interests.naming import CodeName, choose_names, count_phrases, telling_phrases, true_names
from ml.interests.phrases import Phrases

# The phrases of the first so many items.
PhrasesOfFirst = Callable[[int], Phrases]


@dataclass(frozen=True)
class Codes:
    """C named codes ("" where no phrase tells one), the code above each, and those of every item on each level."""

    names: list[str]
    parent_C: IntArray
    code_IL: IntArray


def replay(vectors_ID: FloatArray, *, known_at_I: IntArray, phrases_of_first: PhrasesOfFirst, config: InterestConfig) -> Codes:
    """The codes of items in order of `known_at_I`, the instants they appeared at.

    Codes are fitted at each of `boundaries` and named when they first have words for it. A name stays as long as it
    is true; one that is not any more is another interest. Items after the last boundary are only
    assigned. The work is that of one fit times 1 / (1 - 1 / growth).
    """
    exact_ID = on_grid(vectors_ID)
    codebook, names = empty_codebook(exact_ID.shape[1]), list[CodeName]()
    for end in boundaries(known_at_I, first=config.min_theme_catalogue, growth=config.theme_growth):
        codebook = grow(codebook, _sample(exact_ID[:end], limit=config.max_fitted_items), config=config)
        names = _name(codebook, exact_ID[:end], phrases=phrases_of_first(end), names=names, config=config)
    return Codes([name.text for name in names], codebook.parent_C, assign(codebook, exact_ID, levels=config.theme_levels))


def boundaries(known_at_I: IntArray, *, first: int, growth: float) -> list[int]:
    """How many items were known when they were at least `first`, then at least `growth` times those of the boundary before.

    Instants in ascending order; items of one instant come together.
    """
    counts = np.flatnonzero(np.diff(known_at_I)) + 1
    counts = np.append(counts, len(known_at_I))
    found: list[int] = []
    place = int(np.searchsorted(counts, first))
    while place < len(counts):
        found.append(int(counts[place]))
        place = int(np.searchsorted(counts, found[-1] * growth))
    return found


def _sample(exact_ID: Floats, *, limit: int) -> Floats:
    """At most `limit` of the items, always the same ones of those there are."""
    if len(exact_ID) <= limit:
        return exact_ID
    return exact_ID[np.sort(np.argsort(lots(exact_ID), kind="stable")[:limit])]


def _name(codebook: Codebook, exact_ID: Floats, *, phrases: Phrases, names: Sequence[CodeName], config: InterestConfig) -> list[CodeName]:
    code_IL = assign(codebook, exact_ID, levels=config.theme_levels)
    counts = count_phrases(phrases, code_IL=code_IL, parent_C=codebook.parent_C)
    ranked = telling_phrases(counts, min_items=config.min_items)
    return choose_names(ranked, phrases=phrases, names=true_names(names, counts=counts))
