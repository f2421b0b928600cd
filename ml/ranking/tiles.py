"""The best items of a block of users within one tile of the catalogue, on a CPU and on CUDA.

Both look at the maxima of groups first: the k best items lie in the k groups with the best maxima, as one left out
has k maxima at or above its own. Groups are runs of items, so of two with equal maxima the first holds the lower positions.
Shapes: B users, I items, T items of a tile, D dimension, G groups of W items, S shortlist, K list length.
"""

import math
from collections.abc import Callable, Iterator

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from ml.ids import FloatArray, IntArray
from ml.largest import first_largest, first_largest_places, kth_largest

# (users_BD, items of the tile, excluded_BT, k) -> positions among all items and scores of the k best, or of all: [B, K] each.
BestOfTile = Callable[..., tuple[IntArray, FloatArray]]

# Scores made at a time on a CPU, so that maxima are taken while they are in its cache.
_STRIP_SCORES = 2**19
# Maxima of runs that are no multiple of this take twice to ten times as long.
_GROUP_STEP = 64
_LOW_BITS = 2**32 - 1
_ALL_BUT_SIGN = 2**31 - 1


def _group_size(num_items: int, *, k: int) -> int:
    """So that there are about as many groups as items on a shortlist."""
    return _GROUP_STEP * max(math.isqrt(num_items // k) // _GROUP_STEP, 1)


def on_cpu(items_ID: FloatArray) -> BestOfTile:
    """Strips of items at a time; memory is the scores of one block and tile, kept from call to call."""
    kept = np.empty(0, dtype=np.float32)

    def best_of_tile(users_BD: FloatArray, items: slice, *, excluded_BI: sp.csr_array, k: int) -> tuple[IntArray, FloatArray]:
        nonlocal kept
        tile_TD, num_users = items_ID[items], len(users_BD)
        k = min(k, len(tile_TD))
        size = _group_size(len(tile_TD), k=k)
        num_groups = -(-len(tile_TD) // size)
        per_strip = min(max(_STRIP_SCORES // (num_users * size), 1), num_groups)
        num_strips = -(-num_groups // per_strip)
        # A fresh buffer costs more in page faults than filling it.
        if len(kept) < (num_scores := num_strips * num_users * per_strip * size):
            kept = np.empty(num_scores, dtype=np.float32)
        # Strip after strip, so that each is one piece of memory.
        scores_NBT = kept[:num_scores].reshape(num_strips, num_users, per_strip * size)
        maxima_BG = _score(users_BD, tile_TD, excluded_BT=excluded_BI, out=scores_NBT, group_size=size)
        limit_B1 = kth_largest(maxima_BG, k=min(k, num_groups))
        groups_BK = first_largest_places(maxima_BG, limit_B1=limit_B1, k=min(k, num_groups))
        row_BK = (groups_BK // per_strip * num_users + np.arange(num_users)[:, None]) * per_strip + groups_BK % per_strip
        shortlist_BS = scores_NBT.reshape(-1, size).take(row_BK.reshape(-1), axis=0).reshape(num_users, -1)
        if num_groups < k:
            limit_B1 = kth_largest(shortlist_BS, k=k)
        places_BK, best_BK = first_largest(shortlist_BS, limit_B1=limit_B1, k=k)
        group_BK = np.take_along_axis(groups_BK, places_BK // size, axis=1)
        return group_BK * size + places_BK % size + items.start, best_BK

    return best_of_tile


def _score(users_BD: FloatArray, tile_TD: FloatArray, *, excluded_BT: sp.csr_array, out: FloatArray, group_size: int) -> FloatArray:
    """Write the scores of a tile, -inf for what is excluded and beyond its end; the maxima of its groups, shape [B, G]."""
    strip = out.shape[2]
    maxima = []
    for scores_BT, (items, excluded) in zip(out, _strips(excluded_BT, strip=strip), strict=True):
        num_items = items.stop - items.start
        # numpy's OpenBLAS is quicker than the MKL of torch on processors that are not Intel's.
        np.matmul(users_BD, tile_TD[items].T, out=scores_BT[:, :num_items])
        scores_BT[:, num_items:] = -np.inf
        scores_BT[excluded] = -np.inf
        # torch takes maxima of short runs at a tenth of numpy's cost.
        maxima.append(torch.from_numpy(scores_BT).view(len(users_BD), -1, group_size).amax(dim=2).numpy())
    return np.hstack(maxima)


def _strips(excluded_BT: sp.csr_array, *, strip: int) -> Iterator[tuple[slice, tuple[IntArray, IntArray]]]:
    """Strips of items, each with the rows and places in the strip of what is excluded."""
    num_items = excluded_BT.shape[1]
    by_item = sp.csc_array(excluded_BT)
    by_item.eliminate_zeros()
    for start in range(0, num_items, strip):
        items = slice(start, min(start + strip, num_items))
        starts = by_item.indptr[items.start : items.stop + 1]
        yield items, (by_item.indices[starts[0] : starts[-1]], np.repeat(np.arange(items.stop - items.start), np.diff(starts)))


def on_cuda(items_ID: FloatArray, *, device: torch.device) -> BestOfTile:
    """A whole tile at a time, on any device of torch's; all items' vectors lie there."""
    items_on_device_ID = torch.from_numpy(items_ID).to(device)

    def best_of_tile(users_BD: FloatArray, items: slice, *, excluded_BI: sp.csr_array, k: int) -> tuple[IntArray, FloatArray]:
        num_items, num_users = items.stop - items.start, len(users_BD)
        k = min(k, num_items)
        size = _group_size(num_items, k=k)
        num_groups = -(-num_items // size)
        scores_BT = torch.full((num_users, num_groups * size), -math.inf, device=device)
        scores_BT[:, :num_items] = torch.from_numpy(users_BD).to(device) @ items_on_device_ID[items].T
        scores_BT[tuple(torch.from_numpy(index.astype(np.int64)).to(device) for index in excluded_BI.nonzero())] = -math.inf
        maxima_BG = scores_BT.view(num_users, num_groups, size).amax(dim=2)
        best_BK = torch.topk(_keys(maxima_BG, torch.arange(num_groups, device=device)), min(k, num_groups), dim=1).values
        groups_BK = _places(best_BK)
        places_BS = (groups_BK[:, :, None] * size + torch.arange(size, device=device)).flatten(1)
        found_BK = torch.topk(_keys(scores_BT.gather(1, places_BS), places_BS), k, dim=1).values
        chosen_BK = _places(found_BK)
        return chosen_BK.cpu().numpy() + items.start, scores_BT.gather(1, chosen_BK).cpu().numpy()

    return best_of_tile


def _keys(scores_BN: Tensor, places_BN: Tensor) -> Tensor:
    """One integer a score: larger for a larger score, and of equal scores for the lower place.

    No two are equal, so that which are the largest is the same on every device: torch promises no order of ties.
    """
    # Adding 0 makes -0 equal to 0; bits of floats below 0 grow as the float falls.
    bits_BN = (scores_BN + 0.0).view(torch.int32)
    ordered_BN = torch.where(bits_BN < 0, bits_BN ^ _ALL_BUT_SIGN, bits_BN)
    return (ordered_BN.long() << 32) | (_LOW_BITS - places_BN)


def _places(keys_BN: Tensor) -> Tensor:
    return _LOW_BITS - (keys_BN & _LOW_BITS)
