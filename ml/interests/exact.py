"""Vectors on a grid so coarse that sums of their products are exact in float64.

Whatever order threads, blocks or rows add them in, the bits are the same: what is decided
by such sums is decided alike everywhere. Shapes: I items, C centroids, D dimension.
"""

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from ml.ids import FloatArray, IntArray
from ml.splitmix import GAMMA, mix

Floats = npt.NDArray[np.float64]

# Products of two such numbers have 44 bits behind the point; those of vectors no longer than 4 fit the 53 of a float64.
STEP = 2.0**-22
# Squared distances are rounded to this before they are summed over items.
DISTANCE_STEP = 2.0**-20
BLOCK = 8192


def on_grid(vectors_ID: FloatArray | Floats) -> Floats:
    """The nearest vectors on the grid."""
    return np.rint(vectors_ID.astype(np.float64) / STEP) * STEP


def squared_distances(vectors_ID: Floats, centroids_CD: Floats) -> Floats:
    """Exact squared distances of vectors on the grid, rounded to `DISTANCE_STEP`, shape [I, C]."""
    lengths_I = np.square(vectors_ID).sum(axis=1)[:, None]
    distances = lengths_I - 2 * (vectors_ID @ centroids_CD.T) + np.square(centroids_CD).sum(axis=1)
    rounded: Floats = np.rint(distances / DISTANCE_STEP) * DISTANCE_STEP
    return rounded


def nearest(vectors_ID: Floats, centroids_CD: Floats) -> tuple[IntArray, Floats]:
    """Position of each vector's nearest centroid (ties: the first) and its squared distance, shape [I]."""
    place_I, distance_I = np.zeros(len(vectors_ID), dtype=np.int64), np.zeros(len(vectors_ID))
    for start in range(0, len(vectors_ID), BLOCK):
        block = slice(start, start + BLOCK)
        distances = squared_distances(vectors_ID[block], centroids_CD)
        place_I[block] = distances.argmin(axis=1)
        distance_I[block] = distances.min(axis=1)
    return place_I, distance_I


def means(vectors_ID: Floats, *, place_I: IntArray, empty_CD: Floats) -> Floats:
    """Mean on the grid of the vectors at each place, shape [C, D]; `empty_CD` where there is none."""
    num_places = len(empty_CD)
    chooser_CI = sp.csr_array((np.ones(len(place_I)), (place_I, np.arange(len(place_I)))), shape=(num_places, len(place_I)))
    counts_C = np.bincount(place_I, minlength=num_places)[:, None]
    return np.where(counts_C > 0, on_grid(chooser_CI @ vectors_ID / np.maximum(counts_C, 1)), empty_CD)


def lots(vectors_ID: Floats) -> Floats:
    """A number in (0, 1) per vector, as good as random and told by the vector alone, shape [I].

    A draw by these lots changes with one vector more or less only where that one is drawn.
    """
    numbers_ID = np.rint(vectors_ID / STEP).astype(np.int64).astype(np.uint64)
    weights_D = mix(np.arange(1, vectors_ID.shape[1] + 1, dtype=np.uint64) * np.uint64(GAMMA)) | np.uint64(1)
    mixed_I = mix((numbers_ID * weights_D).sum(axis=1, dtype=np.uint64))
    return ((mixed_I >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53
