"""Candidates of users who have unequally many, padded to a matrix, and NDCG of their order.

Shapes: V users, N candidates of the user who has most, P candidates of all users, in order of user.
"""

from typing import TypeVar

import numpy as np
import numpy.typing as npt

from ml.ids import BoolArray, IntArray
from ml.models.validation import ndcg_of_hits

Floats = npt.NDArray[np.float64]
Value = TypeVar("Value", bound=np.generic)


def padded(values_P: npt.NDArray[Value], user_P: IntArray, *, num_users: int, fill: float) -> npt.NDArray[Value]:
    """Values of shape [P, ...] by user, `fill` behind each user's last, shape [V, N, ...]."""
    count_V = np.bincount(user_P, minlength=num_users)
    place_P = np.arange(len(user_P)) - (np.cumsum(count_V) - count_V)[user_P]
    found_VN = np.full((num_users, int(count_V.max(initial=0)), *values_P.shape[1:]), fill, dtype=values_P.dtype)
    found_VN[user_P, place_P] = values_P
    return found_VN


def ndcg(margin_VN: npt.NDArray[np.floating], *, is_liked_VN: BoolArray, num_likes_V: IntArray, k: int) -> Floats:
    """NDCG@k of each user's candidates in order of the margin, the ideal list being of all the user's likes, shape [V]."""
    width = min(k, margin_VN.shape[1])
    if not width:
        return np.zeros(len(margin_VN))
    cost_VN = -margin_VN
    # Partitioned first: weights are tuned over thousands of such calls. Which of several equal margins is the k-th is then numpy's choice.
    chosen_VK = np.sort(np.argpartition(cost_VN, width - 1, axis=1)[:, :width], axis=1)
    order_VK = np.argsort(np.take_along_axis(cost_VN, chosen_VK, axis=1), axis=1, kind="stable")
    hits_VK = np.take_along_axis(is_liked_VN, np.take_along_axis(chosen_VK, order_VK, axis=1), axis=1)
    return ndcg_of_hits(hits_VK, num_likes_V, k=k)
