"""The exact best items of many users whose scores are products of vectors, on a CPU or a CUDA device.

The rules are those of `ml.top_n`, which takes any model and is slower; how one block meets one tile of
items is `ml.ranking.tiles`. Shapes: U users asked for, B users of a block, I items, T items of a tile, K list length, D dimension.
"""

import numpy as np
import scipy.sparse as sp
import torch

from ml.ids import BoolArray, FloatArray, IntArray
from ml.ranking.factors import Factors
from ml.ranking.tiles import BestOfTile, on_cpu, on_cuda
from ml.top_n import Progress, empty_lists, require_mask, require_sizes

# Items scored before the best of them are picked: what bounds memory, whatever the catalogue.
TILE = 65_536


def top_n_vectors(
    factors: Factors,
    *,
    user_index: IntArray,
    excluded_UI: sp.csr_array,
    k: int,
    block_size: int,
    device: torch.device,
    allowed_I: BoolArray | None = None,
    progress: Progress | None = None,
) -> tuple[IntArray, FloatArray]:
    """As `top_n` of the same scores: (items_UK, scores_UK), equal scores by the lower item position, on any device.

    A sum of products rounds as the device's multiplication does, so scores agree with another path's to float32
    accuracy, not to the bit. Memory is the item vectors and one block of `block_size` x `TILE` scores (two
    on CUDA), 268 MB for blocks of 1,024 users. Raises `ValueError` as `top_n` does, and for a matrix of exclusions of another shape.
    """
    require_sizes(k=k, block_size=block_size)
    require_mask(allowed_I, num_items=len(factors.items_ID))
    if len(user_index) and not 0 <= user_index.min() <= user_index.max() < len(factors.users_UD):
        raise ValueError(f"user positions must be 0 to {len(factors.users_UD) - 1}, not {user_index.min()} to {user_index.max()}")
    if excluded_UI.shape != (len(factors.users_UD), len(factors.items_ID)):
        raise ValueError(f"excluded_UI has shape {excluded_UI.shape}, expected {(len(factors.users_UD), len(factors.items_ID))}")
    kept_I = np.arange(len(factors.items_ID)) if allowed_I is None else np.flatnonzero(allowed_I)
    if allowed_I is not None:
        factors, excluded_UI = factors.of_items(kept_I), excluded_UI[:, kept_I]
    items_UK, scores_UK = empty_lists(len(user_index), k=k)
    width = min(k, len(kept_I))
    items_ID = _with_bias(factors)
    best_of_tile = on_cuda(items_ID, device=device) if device.type == "cuda" else on_cpu(items_ID)
    for start in range(0, len(user_index) if width else 0, block_size):
        rows = slice(start, start + block_size)
        places_BK, best_BK = _best_of_block(
            _users(factors, user_index[rows]), best_of_tile, excluded_BI=excluded_UI[user_index[rows]], k=width
        )
        items_UK[rows, :width] = np.where(best_BK > -np.inf, kept_I[places_BK], -1)
        scores_UK[rows, :width] = best_BK
        if progress is not None:
            progress(min(rows.stop, len(user_index)), len(user_index))
    return items_UK, scores_UK


def _with_bias(factors: Factors) -> FloatArray:
    """Item vectors, the bias as one dimension more where there is any: the product then adds it for nothing."""
    return np.hstack([factors.items_ID, factors.bias_I[:, None]]) if factors.bias_I.any() else np.ascontiguousarray(factors.items_ID)


def _users(factors: Factors, block_index: IntArray) -> FloatArray:
    """User vectors of a block, with a 1 where items' vectors end in their bias."""
    users_BD = factors.users_UD[block_index]
    return np.hstack([users_BD, np.ones_like(users_BD, shape=(len(users_BD), 1))]) if factors.bias_I.any() else users_BD


def _best_of_block(users_BD: FloatArray, best_of_tile: BestOfTile, *, excluded_BI: sp.csr_array, k: int) -> tuple[IntArray, FloatArray]:
    """The best of the tiles' best; a stable sort, so that equal scores stay in order of position."""
    num_items = excluded_BI.shape[1]
    found = [
        best_of_tile(users_BD, items, excluded_BI=excluded_BI[:, items] if num_items > TILE else excluded_BI, k=k)
        for items in (slice(start, min(start + TILE, num_items)) for start in range(0, num_items, TILE))
    ]
    places_BN, best_BN = (np.hstack(parts) for parts in zip(*found, strict=True))
    if len(found) == 1:
        return places_BN, best_BN
    order_BK = np.argsort(-best_BN, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(places_BN, order_BK, axis=1), np.take_along_axis(best_BN, order_BK, axis=1)
