"""The exact best items of many users, scored a block of users at a time.

For any model that can score; `ml.ranking.top_n_vectors` is for scores that are products of vectors.
Shapes: U users asked for, B users of a block, I items, K list length, G groups of W items.
"""

import math
from collections.abc import Callable

import numpy as np
import scipy.sparse as sp

from ml.ids import BoolArray, FloatArray, IntArray
from ml.largest import first_largest, first_largest_places, kth_largest

Score = Callable[[IntArray], FloatArray]
Progress = Callable[[int, int], None]

# Groups of fewer items than this save less than looking at them costs.
_MIN_GROUP = 4
# Rows that are searched whole at once, where more items tie than a list has room for.
_TIED_ROWS = 32


def top_n(
    score: Score,
    *,
    user_index: IntArray,
    excluded_UI: sp.csr_array,
    k: int,
    block_size: int,
    allowed_I: BoolArray | None = None,
    progress: Progress | None = None,
) -> tuple[IntArray, FloatArray]:
    """The `k` best items of each user, best first: (items_UK, scores_UK).

    `score` gives finite scores of every item for some users, shape [B, I]; what it
    returns is not written into. Row u of `excluded_UI` (shape [all users, I]) marks
    with non-zeros what user u must not get; nobody gets items at False in `allowed_I`. Equal scores
    go to the lower item position. Where fewer than `k` items are left, a row ends in item -1, score -inf.
    Memory is some three blocks of `block_size` x I. Raises `ValueError` for a `k` or
    `block_size` below 1, for scores of another shape or not finite and for a mask of another shape.
    """
    require_sizes(k=k, block_size=block_size)
    num_items = excluded_UI.shape[1]
    require_mask(allowed_I, num_items=num_items)
    items_UK, scores_UK = empty_lists(len(user_index), k=k)
    width = min(k, num_items)
    kept_BI = np.empty((0, num_items), dtype=np.float32)
    for start in range(0, len(user_index) if num_items else 0, block_size):
        block_index = user_index[start : start + block_size]
        scores_BI = score(block_index)
        _check_scores(scores_BI, shape=(len(block_index), num_items))
        # One buffer for all blocks: a fresh one costs more in page faults than the copy itself.
        if kept_BI.dtype != scores_BI.dtype or len(kept_BI) < len(scores_BI):
            kept_BI = np.empty_like(scores_BI, order="C", subok=False)
        left_BI = kept_BI[: len(scores_BI)]
        np.copyto(left_BI, scores_BI)
        left_BI[excluded_UI[block_index].nonzero()] = -np.inf
        if allowed_I is not None:
            left_BI[:, ~allowed_I] = -np.inf
        rows = slice(start, start + len(block_index))
        items_UK[rows, :width], scores_UK[rows, :width] = _best_of_block(left_BI, k=width)
        if progress is not None:
            progress(rows.stop, len(user_index))
    return items_UK, scores_UK


def require_sizes(*, k: int, block_size: int) -> None:
    """Raise `ValueError` for lists or blocks of nothing."""
    if k < 1 or block_size < 1:
        raise ValueError(f"k and block_size must be at least 1, got {k} and {block_size}")


def require_mask(allowed_I: BoolArray | None, *, num_items: int) -> None:
    """Raise `ValueError` for anything but one truth value an item; positions, say, would pick other items in silence."""
    if allowed_I is not None and (allowed_I.shape != (num_items,) or allowed_I.dtype != np.bool_):
        raise ValueError(f"allowed_I has shape {allowed_I.shape} of {allowed_I.dtype}, expected {(num_items,)} of bool")


def empty_lists(num_users: int, *, k: int) -> tuple[IntArray, FloatArray]:
    """Lists without items: -1 and -inf, shape [U, K] each."""
    return np.full((num_users, k), -1, dtype=np.int64), np.full((num_users, k), -np.inf, dtype=np.float32)


def _best_of_block(scores_BI: FloatArray, *, k: int) -> tuple[IntArray, FloatArray]:
    num_items = scores_BI.shape[1]
    group_size = math.isqrt(num_items // k)
    if group_size < _MIN_GROUP:
        items_BK, best_BK = first_largest(scores_BI, limit_B1=kth_largest(scores_BI, k=k), k=k)
    else:
        items_BK, best_BK = _best_of_groups(scores_BI, num_groups=num_items // group_size, k=k)
    items_BK[best_BK == -np.inf] = -1
    return items_BK, best_BK


def _best_of_groups(scores_BI: FloatArray, *, num_groups: int, k: int) -> tuple[IntArray, FloatArray]:
    """By looking into few groups: the k best lie in the k groups with the best maxima, as one left out has k maxima at or above its own.

    Group g holds every `num_groups`-th item from g on: maxima of whole rows are several times quicker than of short runs.
    """
    num_rows, num_items = scores_BI.shape
    group_size = num_items // num_groups
    grouped_BWG = scores_BI[:, : group_size * num_groups].reshape(num_rows, group_size, num_groups)
    maxima_BG = grouped_BWG.max(axis=1)
    limit_B1 = kth_largest(maxima_BG, k=k)
    groups_B1K = first_largest_places(maxima_BG, limit_B1=limit_B1, k=k)[:, None, :]
    # Both are in order of item; the items beyond the last whole group belong to every shortlist.
    rest = np.arange(group_size * num_groups, num_items)
    listed_BWK, items_BWK = np.take_along_axis(grouped_BWG, groups_B1K, axis=2), np.arange(group_size)[:, None] * num_groups + groups_B1K
    shortlist_BS = np.hstack([listed_BWK.reshape(num_rows, -1), scores_BI[:, rest]])
    items_BS = np.hstack([items_BWK.reshape(num_rows, -1), np.broadcast_to(rest, (num_rows, len(rest)))])
    places_BK, best_BK = first_largest(shortlist_BS, limit_B1=limit_B1, k=k)
    items_BK = np.take_along_axis(items_BS, places_BK, axis=1)
    # Where groups tie at the limit and so do items, one left out may hold a lower position.
    again_B = (np.count_nonzero(maxima_BG >= limit_B1, axis=1) > k) & (best_BK[:, -1] == limit_B1[:, 0])
    # A row of ties needs some 40 bytes a cell: a few rows at a time.
    again_T = np.flatnonzero(again_B)
    for start in range(0, len(again_T), _TIED_ROWS):
        rows = again_T[start : start + _TIED_ROWS]
        items_BK[rows], best_BK[rows] = first_largest(scores_BI[rows], limit_B1=limit_B1[rows], k=k)
    return items_BK, best_BK


def _check_scores(scores_BI: FloatArray, *, shape: tuple[int, int]) -> None:
    if scores_BI.shape != shape:
        raise ValueError(f"score gave shape {scores_BI.shape}, expected {shape}")
    # One sum tells of any; that it can overflow alone is why the second look decides.
    with np.errstate(over="ignore", invalid="ignore"):
        is_suspect = not np.isfinite(scores_BI.sum())
    if is_suspect and not np.isfinite(scores_BI).all():
        raise ValueError(f"score gave {np.count_nonzero(~np.isfinite(scores_BI))} value(s) that are not finite")
