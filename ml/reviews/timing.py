"""Users against the clock: opinions that come in bursts, and users who go from item to item together.

After Xie et al., "Review spam detection via temporal pattern discovery", KDD 2012, and Mukherjee et al., "Spotting fake reviewer
groups", WWW 2012. Shapes: U users, M pairs, K keys (item, opinion, day).
"""

import numpy as np
import scipy.sparse as sp

from ml.decay import MICROSECONDS_PER_DAY
from ml.ids import IntArray
from ml.reviews.opinions import Floats, Opinions
from ml.reviews.robust import sureness, unusualness

# Users who do one thing on one day beyond this number are an event, not a ring.
_LARGEST_RING = 20
# Data that spans fewer days than this has no days to speak of.
_FEWEST_DAYS = 7
# A ring shares this many items at least.
_FEWEST_SHARED = 3


def burstiness(found: Opinions, *, window_hours: float) -> Floats:
    """How much, in robust deviations, a user's opinions fall into bursts of the same opinion by others, shape [U].

    The surprise of k others within `window_hours` where the item's own rate leads to expect r is
    k log(k / r) - (k - r), the Poisson deviance by halves, for k above r; a user's is the mean over their opinions.
    """
    window = int(window_hours / 24 * MICROSECONDS_PER_DAY)
    point_M = found.item_M * 2 + found.is_like_M
    order = np.lexsort((found.user_M, found.at_M, point_M))
    num_others_M = np.empty(len(found))
    num_others_M[order] = _within(point_M[order], found.at_M[order], window=window)
    expected_M = _expected(found, point_M, window=window)
    above_M = num_others_M > expected_M
    ratio_M = np.where(above_M, num_others_M, 1.0) / np.where(above_M, expected_M, 1.0)
    surprise_M = np.where(above_M, num_others_M * np.log(ratio_M) - (num_others_M - expected_M), 0.0)
    num_U = found.num_items_U
    return unusualness(found.mean_by_user(surprise_M), is_judged_U=num_U > 0, smallest_scale=0.1) * sureness(num_U, half=3.0)


def togetherness(found: Opinions) -> Floats:
    """Share of a user's opinions that one other user gave of the same items, nearly equal, on the same days, shape [U].

    Two shared items may be chance and count as none; two items are added to everyone's number, so that
    short histories prove little. 0 for all where the data spans less than a week.
    """
    ring_U: Floats = np.zeros(len(found.users))
    day_M = found.at_M // int(MICROSECONDS_PER_DAY)
    if not len(found) or np.ptp(day_M) < _FEWEST_DAYS:
        return ring_U
    level_M = np.rint(2 * found.opinion_M).astype(np.int64)
    key_M = np.unique(np.stack([found.item_M, level_M, day_M]), axis=1, return_inverse=True)[1].ravel()
    size_M = np.bincount(key_M)[key_M]
    shared_M = (size_M > 1) & (size_M <= _LARGEST_RING)
    keys_M = np.unique(key_M[shared_M], return_inverse=True)[1]
    cells = (np.ones(int(shared_M.sum())), (found.user_M[shared_M], keys_M))
    done_UK = sp.csr_array(cells, shape=(len(found.users), int(keys_M.max(initial=-1)) + 1))
    together = sp.coo_array(done_UK @ done_UK.T)
    user_E, other_E = together.coords
    is_ring_E = (user_E != other_E) & (together.data >= _FEWEST_SHARED)
    np.maximum.at(ring_U, user_E[is_ring_E], together.data[is_ring_E])
    shares_U: Floats = ring_U / (found.num_items_U + 2)
    return shares_U


def _within(point_M: IntArray, at_M: IntArray, *, window: int) -> IntArray:
    """Others of the same point within the window before or after; rows sorted by point, then time."""
    if not len(at_M):
        return at_M
    # One axis of seconds for all points: each begins further from the last than any window reaches.
    second_M, seconds = (at_M - at_M.min()) // 1_000_000, window // 1_000_000
    rank_M = np.unique(point_M, return_inverse=True)[1].ravel()
    axis_M = rank_M * (int(second_M.max()) + 2 * seconds + 1) + second_M
    low = np.searchsorted(axis_M, axis_M - seconds, side="left")
    high = np.searchsorted(axis_M, axis_M + seconds, side="right")
    return np.asarray(high - low - 1, dtype=np.int64)


def _expected(found: Opinions, point_M: IntArray, *, window: int) -> Floats:
    """Others of the same point that its own rate puts into the window, above 0."""
    if not len(found):
        return np.zeros(0)
    num_points = 2 * len(found.items)
    first_P = np.full(num_points, np.iinfo(np.int64).max)
    np.minimum.at(first_P, point_M, found.at_M)
    now = int(found.as_of.timestamp() * 1e6)
    lasts_M = np.maximum(now - first_P[point_M], 2 * window).astype(np.float64)
    others_M = np.bincount(point_M, minlength=num_points)[point_M] - 1
    return np.asarray(np.maximum(others_M * (2 * window / lasts_M), 1e-9), dtype=np.float64)
