"""The largest numbers of each row of a matrix, equal ones in order of their place.

What every exact ranking comes down to once its candidates are few; exclusions, blocks and devices are its callers'.
Shapes: B rows, N numbers of a row, K kept, M all that reach the limit.
"""

import numpy as np

from ml.ids import FloatArray, IntArray


def kth_largest(scores_BN: FloatArray, *, k: int) -> FloatArray:
    """The k-th largest number of each row, shape [B, 1]."""
    smallest = scores_BN.shape[1] - k
    limit_B1: FloatArray = np.partition(scores_BN, smallest, axis=1)[:, smallest : smallest + 1]
    return limit_B1


def first_largest(scores_BN: FloatArray, *, limit_B1: FloatArray, k: int) -> tuple[IntArray, FloatArray]:
    """Places and values of the `k` largest of each row, best first, equal ones by place; at least `k` must reach the limit.

    Only what reaches it is sorted. A partition with positions would cost several times as much, and pick any of those that tie.
    """
    places_BM, reached_BM = _reaching(scores_BN, limit_B1=limit_B1)
    order_BK = np.argsort(-reached_BM, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(places_BM, order_BK, axis=1), np.take_along_axis(reached_BM, order_BK, axis=1)


def first_largest_places(scores_BN: FloatArray, *, limit_B1: FloatArray, k: int) -> IntArray:
    """The same places in rising order."""
    places_BM, reached_BM = _reaching(scores_BN, limit_B1=limit_B1)
    if places_BM.shape[1] == k:
        return places_BM
    order_BK = np.argsort(-reached_BM, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(places_BM, np.sort(order_BK, axis=1), axis=1)


def _reaching(scores_BN: FloatArray, *, limit_B1: FloatArray) -> tuple[IntArray, FloatArray]:
    """Places and values of all that reach the limit, in order of place; shorter rows end in place 0 and -inf."""
    num_rows, width = scores_BN.shape
    found_F = np.flatnonzero(scores_BN >= limit_B1)
    starts_B = np.searchsorted(found_F, np.arange(num_rows + 1) * width)
    count_B = np.diff(starts_B)
    row_F = np.repeat(np.arange(num_rows), count_B)
    cells_F = (row_F, np.arange(len(found_F)) - starts_B[row_F])
    shape = (num_rows, int(count_B.max(initial=0)))
    places_BM, reached_BM = np.zeros(shape, dtype=np.int64), np.full(shape, -np.inf, dtype=scores_BN.dtype)
    places_BM[cells_F] = found_F - row_F * width
    reached_BM[cells_F] = scores_BN.reshape(-1)[found_F]
    return places_BM, reached_BM
