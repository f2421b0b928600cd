"""Users against the crowd: what they say of items, which items they choose, and who makes the same points.

After Chirita et al., "Preventing shilling attacks in online recommender systems", WIDM 2005 (deviation from agreement, degree of
similarity) and Zhou et al., target item analysis, 2016. Shapes: U users, I items, A anchors, M pairs, P points (item, side).
"""

import numpy as np
import scipy.sparse as sp

from ml.ids import IntArray
from ml.reviews.opinions import Floats, Opinions
from ml.reviews.robust import sureness, unusualness

# Opinions that make half a case.
_HALF_CASE = 5.0
# Opinions of the crowd's own median that every item starts with.
_PRIOR_OPINIONS = 3.0
_BLOCK_SIZE = 512


def disagreement(found: Opinions) -> Floats:
    """How far, in robust deviations, a user's opinions lie from those of others on the same items, shape [U].

    Items of many opinions say more. 0 for all where fewer than one opinion in a hundred is a dislike: numbers
    that never blame are counts of deeds, not ratings.
    """
    if not len(found) or (found.opinion_M < 0).mean() < 0.01:
        return np.zeros(len(found.users))
    num_I = found.num_users_I
    total_I = np.bincount(found.item_M, weights=found.opinion_M, minlength=len(found.items))
    others_M = num_I[found.item_M] - 1
    expected_M = (total_I[found.item_M] - found.opinion_M + _PRIOR_OPINIONS * np.median(found.opinion_M)) / (others_M + _PRIOR_OPINIONS)
    weight_M = np.log1p(others_M)
    away_U = found.mean_by_user(np.abs(found.opinion_M - expected_M), weight_M=weight_M)
    is_judged_U = np.bincount(found.user_M, weights=weight_M, minlength=len(found.users)) > 0
    # Squared: a mean of few opinions lies far from the usual one by chance already.
    sure_U = sureness(found.num_items_U, half=_HALF_CASE) ** 2
    return unusualness(away_U, is_judged_U=is_judged_U, smallest_scale=0.05) * sure_U


def estrangement(found: Opinions, *, num_neighbors: int, max_anchors: int) -> Floats:
    """How little, in robust deviations, a user's choice of items is like that of the users nearest to them, shape [U].

    Likeness is the cosine of rare-item-weighted profiles; its mean over the `num_neighbors` nearest of at most
    `max_anchors` users, evenly taken in order of id, is compared by its logarithm.
    """
    num_users = len(found.users)
    profiles_UI = _profiles(found)
    anchors = np.unique(np.linspace(0, num_users - 1, min(num_users, max_anchors)).astype(np.int64))
    nearness_U = _nearness(profiles_UI, anchors=anchors, num_neighbors=num_neighbors)
    num_U = found.num_items_U
    return unusualness(-np.log(nearness_U + 1e-4), is_judged_U=num_U >= 3, smallest_scale=0.1) * sureness(num_U, half=_HALF_CASE)


def company(found: Opinions, *, suspicion_U: Floats) -> Floats:
    """How suspicious those are who made a user's most suspicious point with them, beyond what chance gives, shape [U].

    A point is a like or a dislike of an item. The suspicion of its other makers is summed and divided by the
    root of their number; from a user's largest sum is taken what the largest of as many normal numbers would be.
    """
    point_M = found.item_M * 2 + found.is_like_M
    bounded_U = np.clip(suspicion_U, -1.0, 4.0)
    others_M = np.bincount(point_M, minlength=2 * len(found.items))[point_M] - 1
    total_P = np.bincount(point_M, weights=bounded_U[found.user_M], minlength=2 * len(found.items))
    is_shared_M = others_M >= 2
    sum_M = np.where(is_shared_M, (total_P[point_M] - bounded_U[found.user_M]) / np.sqrt(np.maximum(others_M, 1)), 0.0)
    largest_U = np.zeros(len(found.users))
    np.maximum.at(largest_U, found.user_M, sum_M)
    num_U = np.bincount(found.user_M, weights=is_shared_M, minlength=len(found.users))
    beyond_U: Floats = np.maximum(largest_U - np.sqrt(2 * np.log(np.maximum(num_U, 1.0))), 0.0)
    return beyond_U


def _profiles(found: Opinions) -> sp.csr_array:
    """Unit rows of inverse user frequencies, shape [U, I]."""
    rarity_I = np.log1p(len(found.users) / np.maximum(found.num_users_I, 1))
    norm_U = np.sqrt(np.bincount(found.user_M, weights=rarity_I[found.item_M] ** 2, minlength=len(found.users)))
    weight_M = rarity_I[found.item_M] / norm_U[found.user_M]
    return sp.csr_array((weight_M, (found.user_M, found.item_M)), shape=(len(found.users), len(found.items)))


def _nearness(profiles_UI: sp.csr_array, *, anchors: IntArray, num_neighbors: int) -> Floats:
    """Mean cosine to the nearest anchors other than oneself, shape [U]."""
    anchors_IA = sp.csr_array(profiles_UI[anchors].T)
    column_U = np.full(profiles_UI.shape[0], -1)
    column_U[anchors] = np.arange(len(anchors))
    nearest = min(num_neighbors, max(len(anchors) - 1, 1))
    nearness_U = np.zeros(profiles_UI.shape[0])
    for start in range(0, profiles_UI.shape[0], _BLOCK_SIZE):
        likeness_BA = (profiles_UI[start : start + _BLOCK_SIZE] @ anchors_IA).toarray()
        own_B = column_U[start : start + _BLOCK_SIZE]
        likeness_BA[np.flatnonzero(own_B >= 0), own_B[own_B >= 0]] = 0.0
        largest_BK = np.sort(np.partition(likeness_BA, likeness_BA.shape[1] - nearest, axis=1)[:, -nearest:], axis=1)
        nearness_U[start : start + _BLOCK_SIZE] = largest_BK.mean(axis=1)
    return nearness_U
