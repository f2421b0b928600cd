"""The tables `similar_items` and `similar_users`: nearest neighbours, exact, a block at a time.

Shapes: I items, U users, T interests, D dimension, K list length, N pairs.
"""

import numpy as np
import pyarrow as pa
import scipy.sparse as sp
import torch

from ml.contracts.contract import STRING, STRINGS
from ml.contracts.outputs import SIMILAR_ITEMS, SIMILAR_USERS
from ml.ids import FloatArray, IntArray, Vocabulary
from ml.ranking.factors import Factors
from ml.ranking.sparse_rows import unit_rows
from ml.ranking.top_n_vectors import top_n_vectors
from ml.top_n import Progress, top_n

CPU = torch.device("cpu")
_PAIR_BLOCK = 65_536


def similar_items(
    vectors_ID: FloatArray,
    *,
    items: Vocabulary,
    k: int,
    block_size: int,
    release_id: str,
    device: torch.device = CPU,
    progress: Progress | None = None,
) -> pa.Table:
    """Each item's `k` nearest others by cosine, ties by item id.

    Raises `ValueError` unless there is one vector per item. An item whose vector is
    zero has no direction: no rows, and it is nobody's neighbour.
    """
    if len(vectors_ID) != len(items):
        raise ValueError(f"{len(vectors_ID)} vectors for {len(items)} items")
    lengths_I = np.linalg.norm(vectors_ID, axis=1)
    placed = np.flatnonzero(lengths_I > 0)
    unit_ID = vectors_ID[placed] / lengths_I[placed, None]
    neighbours_IK, cosine_IK = top_n_vectors(
        Factors(unit_ID, unit_ID, np.zeros(len(unit_ID), dtype=np.float32)),
        user_index=np.arange(len(placed)),
        excluded_UI=sp.csr_array(sp.eye_array(len(placed))),
        k=k,
        block_size=block_size,
        device=device,
        progress=progress,
    )
    row, place = np.nonzero(neighbours_IK >= 0)
    columns = {
        "item_id": items.take(placed[row]),
        "rank": place + 1,
        "similar_item_id": items.take(placed[neighbours_IK[row, place]]),
        "score": _bounded(cosine_IK[row, place]),
        "release_id": pa.repeat(pa.scalar(release_id, STRING), len(row)),
    }
    return SIMILAR_ITEMS.conform(pa.table(columns))


def similar_users(
    user_interests: pa.Table,
    *,
    interest_points: pa.Table,
    k: int,
    block_size: int,
    release_id: str,
    max_shared: int = 5,
    progress: Progress | None = None,
) -> pa.Table:
    """Each user's `k` people of likest interests by cosine of all weights, dislikes included, ties by user id.

    Only people with a cosine above 0 are named, with up to `max_shared` interests that
    both like, strongest first. Raises `UnknownIdError` for an interest without a point.
    """
    users = Vocabulary("user", user_interests.column("user_id"))
    points = interest_points.sort_by("interest_id")
    interests = Vocabulary("interest", points.column("interest_id"))
    weights = np.asarray(user_interests.column("weight"), dtype=np.float32)
    rows, columns = users.positions(user_interests.column("user_id")), interests.positions(user_interests.column("interest_id"))
    unit_UT = unit_rows(sp.csr_array((weights, (rows, columns)), shape=(len(users), len(interests))))
    unit_TU = sp.csr_array(unit_UT.T)
    neighbours_UK, cosine_UK = top_n(
        lambda block: (unit_UT[block] @ unit_TU).toarray(),
        user_index=np.arange(len(users)),
        excluded_UI=sp.csr_array(sp.eye_array(len(users))),
        k=k,
        block_size=block_size,
        progress=progress,
    )
    row, place = np.nonzero((neighbours_UK >= 0) & (cosine_UK > 0))
    neighbour = neighbours_UK[row, place]
    table = {
        "user_id": users.take(row),
        "rank": place + 1,
        "similar_user_id": users.take(neighbour),
        "score": _bounded(cosine_UK[row, place]),
        "shared_interests": _shared_names(unit_UT, row, neighbour, names=points.column("name").combine_chunks(), limit=max_shared),
        "release_id": pa.repeat(pa.scalar(release_id, STRING), len(row)),
    }
    return SIMILAR_USERS.conform(pa.table(table))


def _bounded(cosines: FloatArray) -> np.ndarray:
    # Rounding may leave a cosine a hair outside the contract's [-1, 1].
    return np.clip(cosines.astype(np.float64), -1.0, 1.0)


def _shared_names(unit_UT: sp.csr_array, left_N: IntArray, right_N: IntArray, *, names: pa.Array, limit: int) -> pa.Array:
    """Names of what both like, by the product of their weights, ties by interest id; a list per pair."""
    liked_UT = unit_UT.maximum(0).tocsr()
    blocks = [
        _strongest(
            liked_UT[left_N[start : start + _PAIR_BLOCK]].multiply(liked_UT[right_N[start : start + _PAIR_BLOCK]]), names, limit=limit
        )
        for start in range(0, len(left_N), _PAIR_BLOCK)
    ]
    return pa.concat_arrays([pa.array([], STRINGS), *blocks])


def _strongest(products: sp.csr_array, names: pa.Array, *, limit: int) -> pa.Array:
    found = sp.coo_array(products)
    order = np.lexsort((found.col, -found.data, found.row))
    order = order[found.data[order] > 0]
    row, column = found.row[order], found.col[order]
    place = np.arange(len(row)) - np.searchsorted(row, row)
    row, column = row[place < limit], column[place < limit]
    offsets = pa.array(np.searchsorted(row, np.arange(products.shape[0] + 1)), pa.int32())
    return pa.ListArray.from_arrays(offsets, names.take(pa.array(column.astype(np.int64)))).cast(STRINGS)
