"""Full rankings of the catalogue for test users, the same way for every model.

What is measured on them is in `metrics` and `lists`. Shapes: T test users, I items, K list length, B batch.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ml.ids import BoolArray, FloatArray, IntArray
from ml.models.inputs import ModelInputs
from ml.top_n import top_n

BLOCK_SIZE = 512


class Scorer(Protocol):
    """All that ranking needs of a model; every `Recommender` is one."""

    def score(self, user_index: IntArray) -> FloatArray:
        """Finite scores of every item, shape [B, I]."""
        ...


@dataclass(frozen=True)
class Ranking:
    """The best `K` unseen items of every test user, best first, -1 where the catalogue ran out.

    `silent_T` marks users for whom the model scored all items equal: it had nothing to say.
    """

    items_TK: IntArray
    silent_T: BoolArray


def rank_items(
    model: Scorer,
    *,
    inputs: ModelInputs,
    user_index: IntArray,
    item_order: IntArray,
    k: int,
    progress: Callable[[int, int], None] | None = None,
) -> Ranking:
    """Rank every item a user has not met; equal scores follow `item_order`, positions best first, shape [I]."""
    is_silent_U = np.zeros(len(inputs.users), dtype=bool)

    def score_in_order(block_index: IntArray) -> FloatArray:
        scores_BI = model.score(block_index)
        is_silent_U[block_index] = scores_BI.max(axis=1) == scores_BI.min(axis=1)
        return scores_BI[:, item_order]

    # top_n breaks ties by position, so the columns are put in the order that ties should follow.
    place_TK, _ = top_n(
        score_in_order, user_index=user_index, excluded_UI=inputs.seen_UI[:, item_order], k=k, block_size=BLOCK_SIZE, progress=progress
    )
    items_TK = np.where(place_TK >= 0, item_order[place_TK], -1)
    return Ranking(items_TK=items_TK, silent_T=is_silent_U[user_index])


def popularity_order(item_scores_I: FloatArray) -> IntArray:
    """Positions by falling popularity, then by position, shape [I]."""
    return np.argsort(-item_scores_I, kind="stable").astype(np.int64)
