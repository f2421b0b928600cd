"""Who and what an average hides: groups of users, groups of relevant items.

All groups are drawn from training data alone. Shapes: U users, T test users, I items.
"""

from dataclasses import dataclass

import numpy as np

from ml.ids import BoolArray, IntArray
from ml.models.inputs import ModelInputs

HEAD_SHARE = 0.2


@dataclass(frozen=True)
class Segment:
    """Users measured, and which relevant items count for them (None: all)."""

    name: str
    users_T: BoolArray
    items_I: BoolArray | None = None


def segments(inputs: ModelInputs, *, user_index: IntArray, cold_user_interactions: int) -> tuple[Segment, ...]:
    """The segments of the `evaluation` table, in its order.

    all           every test user
    warm_users    at least `cold_user_interactions` liked items in training
    cold_users    fewer, none included
    cold_items    all users; only items nobody liked in training count as relevant
    head_items    all users; only the most liked items count, see `head_items`
    tail_items    all users; only the others count, cold ones included
    """
    everyone_T = np.ones(len(user_index), dtype=bool)
    warm_T = np.diff(inputs.positives_UI.indptr)[user_index] >= cold_user_interactions
    likes_I = num_likes(inputs)
    head_I = head_items(likes_I)
    return (
        Segment("all", everyone_T),
        Segment("warm_users", warm_T),
        Segment("cold_users", ~warm_T),
        Segment("cold_items", everyone_T, likes_I == 0),
        Segment("head_items", everyone_T, head_I),
        Segment("tail_items", everyone_T, ~head_I),
    )


def num_likes(inputs: ModelInputs) -> IntArray:
    """Users who like each item in training, shape [I]."""
    return np.bincount(inputs.positives_UI.indices, minlength=len(inputs.items)).astype(np.int64)


def head_items(likes_I: IntArray) -> BoolArray:
    """The fewest items, most liked first, that together hold `HEAD_SHARE` of all likes, shape [I].

    Ties go to the lower position. Abdollahpouri, Burke & Mobasher, FLAIRS 2019, call it the short head.
    """
    head_I = np.zeros(len(likes_I), dtype=bool)
    if likes_I.sum():
        by_likes = np.argsort(-likes_I, kind="stable")
        before = np.cumsum(likes_I[by_likes]) - likes_I[by_likes]
        head_I[by_likes[before < HEAD_SHARE * likes_I.sum()]] = True
    return head_I
