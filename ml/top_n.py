"""The exact best items of many users, scored a block of users at a time.

Shapes: U users asked for, B users of a block, I items, K list length.
"""

from collections.abc import Callable

import numpy as np
import scipy.sparse as sp

from ml.ids import FloatArray, IntArray

Score = Callable[[IntArray], FloatArray]
Progress = Callable[[int, int], None]


def top_n(
    score: Score,
    *,
    user_index: IntArray,
    excluded_UI: sp.csr_array,
    k: int,
    block_size: int,
    progress: Progress | None = None,
) -> tuple[IntArray, FloatArray]:
    """The `k` best items of each user, best first: (items_UK, scores_UK).

    `score` gives finite scores of every item for some users, shape [B, I]; what it
    returns is not written into. Row u of `excluded_UI` (shape [all users, I]) marks
    with non-zeros what user u must not get. Equal scores go to the lower item
    position. Where fewer than `k` items are left, a row ends in item -1, score -inf.
    Memory is two blocks of `block_size` x I. Raises `ValueError` for a `k` or
    `block_size` below 1 and for scores of another shape or not finite.
    """
    if k < 1 or block_size < 1:
        raise ValueError(f"k and block_size must be at least 1, got {k} and {block_size}")
    items_UK = np.full((len(user_index), k), -1, dtype=np.int64)
    scores_UK = np.full((len(user_index), k), -np.inf, dtype=np.float32)
    num_items = excluded_UI.shape[1]
    width = min(k, num_items)
    for start in range(0, len(user_index) if num_items else 0, block_size):
        block_index = user_index[start : start + block_size]
        scores_BI = score(block_index)
        _check_scores(scores_BI, shape=(len(block_index), num_items))
        excluded_row, excluded_item = excluded_UI[block_index].nonzero()
        rows = slice(start, start + len(block_index))
        items_UK[rows, :width], scores_UK[rows, :width] = _best_of_block(scores_BI, excluded=(excluded_row, excluded_item), k=width)
        if progress is not None:
            progress(rows.stop, len(user_index))
    return items_UK, scores_UK


def _best_of_block(scores_BI: FloatArray, *, excluded: tuple[IntArray, IntArray], k: int) -> tuple[IntArray, FloatArray]:
    costs_BI = -scores_BI
    costs_BI[excluded] = np.inf
    chosen_BK = np.argpartition(costs_BI, k - 1, axis=1)[:, :k].astype(np.int64)
    limit_B1 = np.take_along_axis(costs_BI, chosen_BK, axis=1).max(axis=1, keepdims=True)
    # A partition picks any of the items that tie at the limit; those rows are chosen again, by position.
    ambiguous_B = np.count_nonzero(costs_BI <= limit_B1, axis=1) > k
    if ambiguous_B.any():
        chosen_BK[ambiguous_B] = _first_tied(costs_BI[ambiguous_B], limit_B1=limit_B1[ambiguous_B], k=k)
    chosen_costs_BK = np.take_along_axis(costs_BI, chosen_BK, axis=1)
    order_BK = np.lexsort((chosen_BK, chosen_costs_BK), axis=-1)
    items_BK = np.take_along_axis(chosen_BK, order_BK, axis=1)
    best_BK = -np.take_along_axis(chosen_costs_BK, order_BK, axis=1)
    items_BK[best_BK == -np.inf] = -1
    return items_BK, best_BK


def _first_tied(costs_BI: FloatArray, *, limit_B1: FloatArray, k: int) -> IntArray:
    """Positions of the `k` lowest costs of each row, the first ones among those that tie at the limit."""
    below_BI = costs_BI < limit_B1
    tied_BI = costs_BI == limit_B1
    room_B1 = k - np.count_nonzero(below_BI, axis=1, keepdims=True)
    kept_BI = below_BI | (tied_BI & (np.cumsum(tied_BI, axis=1, dtype=np.int32) <= room_B1))
    return np.nonzero(kept_BI)[1].reshape(len(costs_BI), k)


def _check_scores(scores_BI: FloatArray, *, shape: tuple[int, int]) -> None:
    if scores_BI.shape != shape:
        raise ValueError(f"score gave shape {scores_BI.shape}, expected {shape}")
    if not np.isfinite(scores_BI).all():
        raise ValueError(f"score gave {np.count_nonzero(~np.isfinite(scores_BI))} value(s) that are not finite")
