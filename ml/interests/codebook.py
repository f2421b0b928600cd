"""Semantic tokens: a tree of codes that quantises vectors level by level, each level what the one above left over.

Residual quantisation as in TIGER (Rajput et al., arXiv 2305.05065), with k-means in place of the
neural network (arXiv 2306.08121). Every code has a codebook of its own for what it leaves over: one
shared by all would give a level's code no meaning of its own, hence no name.
Shapes: I items, C codes, K codes of one parent, D dimension, L levels.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ml.config.pipeline import InterestConfig
from ml.ids import IntArray
from ml.interests.exact import Floats, lots, means, nearest, on_grid, squared_distances

NO_CODE = -1
MAX_ROUNDS = 30
# Candidates for a new centroid, of which the one that covers most is taken.
NUM_CANDIDATES = 5


@dataclass(frozen=True)
class Codebook:
    """C codes in order of their making: `parent_C` is `NO_CODE` on the first level, `residual_CD` says where each lies from its parent."""

    parent_C: IntArray
    residual_CD: Floats

    def __len__(self) -> int:
        return len(self.parent_C)

    def children(self, parent: int) -> IntArray:
        """The codes right below a code, or the first level below `NO_CODE`."""
        return np.flatnonzero(self.parent_C == parent)

    def with_children(self, parent: int, residual_KD: Floats) -> "Codebook":
        """The children of a code moved to the first of `residual_KD`, the rest as new ones at the end."""
        kept = self.children(parent)
        moved_CD = self.residual_CD.copy()
        moved_CD[kept] = residual_KD[: len(kept)]
        added_KD = residual_KD[len(kept) :]
        return Codebook(
            np.concatenate([self.parent_C, np.full(len(added_KD), parent, dtype=np.int64)]), np.concatenate([moved_CD, added_KD])
        )


def empty_codebook(dimension: int) -> Codebook:
    """No codes yet."""
    return Codebook(np.zeros(0, dtype=np.int64), np.zeros((0, dimension)))


def num_codes(num_items: int, *, levels: int, config: InterestConfig) -> int:
    """Codes a codebook should have over `num_items` and `levels`: so many that codes of the last level hold `items_per_theme` on average.

    (items / items_per_theme) ** (1 / levels), at most `max_codes`; 0 where that is less than two.
    """
    wanted = int((num_items / config.items_per_theme) ** (1.0 / levels) + 1e-9)
    return min(wanted, config.max_codes) if wanted > 1 else 0


def grow(codebook: Codebook, vectors_ID: Floats, *, config: InterestConfig) -> Codebook:
    """The codebook fitted to more items (on the grid): codes move a little, and new ones arise where items are badly covered."""
    residual_ID, code_I = vectors_ID.copy(), np.full(len(vectors_ID), NO_CODE, dtype=np.int64)
    for level in range(config.theme_levels):
        next_I = np.full(len(vectors_ID), NO_CODE, dtype=np.int64)
        for parent, rows in _branches(code_I, is_first=level == 0):
            start_KD = codebook.residual_CD[codebook.children(parent)]
            wanted = num_codes(len(rows), levels=config.theme_levels - level, config=config)
            # Far fewer than a theme should have are an outlier, not a theme.
            fewest = max(config.items_per_theme // 3, 1)
            fitted_KD = fit_centroids(residual_ID[rows], start_KD=start_KD, num_centroids=max(wanted, len(start_KD)), min_items=fewest)
            if len(fitted_KD) > 1:
                codebook = codebook.with_children(parent, fitted_KD)
                next_I[rows] = _step(codebook, parent, residual_ID, rows)
        code_I = next_I
    return codebook


def assign(codebook: Codebook, vectors_ID: Floats, *, levels: int) -> IntArray:
    """The code of each item (on the grid) on each level, shape [I, L]; `NO_CODE` below the last code of a branch."""
    residual_ID = vectors_ID.copy()
    code_IL = np.full((len(vectors_ID), levels), NO_CODE, dtype=np.int64)
    for level in range(levels):
        above_I = code_IL[:, level - 1] if level else np.full(len(vectors_ID), NO_CODE, dtype=np.int64)
        for parent, rows in _branches(above_I, is_first=level == 0):
            if len(codebook.children(parent)):
                code_IL[rows, level] = _step(codebook, parent, residual_ID, rows)
    return code_IL


def fit_centroids(vectors_ID: Floats, *, start_KD: Floats, num_centroids: int, min_items: int) -> Floats:
    """Centroids of k-means (Lloyd 1982) from those of `start_KD` and new ones, on the grid.

    Fewer than asked where vectors are few: new ones that gather fewer than `min_items` go again, and what they held is shared out.
    """
    centroids_KD = _add_centroids(vectors_ID, start_KD=start_KD, num_centroids=num_centroids)
    while len(centroids_KD):
        centroids_KD, count_K = _settle(vectors_ID, centroids_KD)
        fewest = len(start_KD) + int(count_K[len(start_KD) :].argmin()) if len(centroids_KD) > len(start_KD) else 0
        if count_K[fewest] >= min_items or fewest < len(start_KD):
            break
        centroids_KD = np.delete(centroids_KD, fewest, axis=0)
    return centroids_KD


def _settle(vectors_ID: Floats, centroids_KD: Floats) -> tuple[Floats, IntArray]:
    """Each centroid moved to the mean of what is nearest to it until nothing changes, and how many vectors it holds."""
    place_I, _ = nearest(vectors_ID, centroids_KD)
    for _ in range(MAX_ROUNDS):
        centroids_KD = means(vectors_ID, place_I=place_I, empty_CD=centroids_KD)
        moved_I, _ = nearest(vectors_ID, centroids_KD)
        if np.array_equal(moved_I, place_I):
            break
        place_I = moved_I
    return centroids_KD, np.bincount(place_I, minlength=len(centroids_KD)).astype(np.int64)


def _add_centroids(vectors_ID: Floats, *, start_KD: Floats, num_centroids: int) -> Floats:
    """Greedy k-means++ (Arthur & Vassilvitskii, SODA 2007) that draws by the vectors' own lots.

    Chances are squared distances to what is there: weighted sampling without replacement as a race of exponential
    clocks (Efraimidis & Spirakis, 2006). A candidate is the mean of the vectors around the drawn one, since a
    single vector is far from all others where there are many dimensions; the one that brings all nearest is taken.
    """
    centroids = list(start_KD)
    clock_I = -np.log(lots(vectors_ID))
    distance_I = nearest(vectors_ID, start_KD)[1] if len(start_KD) else np.ones(len(vectors_ID))
    num_around = max(len(vectors_ID) // (2 * max(num_centroids, 1)), 1)
    while len(centroids) < num_centroids and distance_I.max(initial=0.0) > 0:
        arrival_I = np.divide(clock_I, distance_I, out=np.full(len(clock_I), np.inf), where=distance_I > 0)
        drawn = np.argsort(arrival_I, kind="stable")[: min(NUM_CANDIDATES, int((distance_I > 0).sum()))]
        around_ND = _means_around(vectors_ID, drawn, num_around=num_around)
        left_IN = np.minimum(squared_distances(vectors_ID, around_ND), distance_I[:, None])
        best = int(left_IN.sum(axis=0).argmin())
        centroids.append(around_ND[best])
        # A drawn vector that its mean leaves as far as before would be drawn for ever.
        distance_I = left_IN[:, best]
        clock_I[drawn[best]] = np.inf
    return np.array(centroids).reshape(-1, vectors_ID.shape[1])


def _means_around(vectors_ID: Floats, drawn: IntArray, *, num_around: int) -> Floats:
    """The mean of the `num_around` vectors nearest to each drawn one, ties by position."""
    order_IN = np.argsort(squared_distances(vectors_ID, vectors_ID[drawn]), axis=0, kind="stable")[:num_around]
    return on_grid(vectors_ID[order_IN].mean(axis=0))


def _step(codebook: Codebook, parent: int, residual_ID: Floats, rows: IntArray) -> IntArray:
    """The child of `parent` nearest to each of the rows; what it leaves over takes their place in `residual_ID`."""
    children = codebook.children(parent)
    code_R = children[nearest(residual_ID[rows], codebook.residual_CD[children])[0]]
    residual_ID[rows] -= codebook.residual_CD[code_R]
    return code_R


def _branches(code_I: IntArray, *, is_first: bool) -> Iterator[tuple[int, IntArray]]:
    """Each code and its items, in order of code."""
    if is_first:
        yield NO_CODE, np.arange(len(code_I))
        return
    order = np.argsort(code_I, kind="stable")
    ends = np.flatnonzero(np.diff(code_I[order], append=NO_CODE)) + 1
    for rows in np.split(order, ends)[:-1]:
        if code_I[rows[0]] != NO_CODE:
            yield int(code_I[rows[0]]), rows
