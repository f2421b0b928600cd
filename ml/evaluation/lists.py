"""What lists are like beyond being right: how much of the catalogue, how surprising, how popular.

Shapes: T test users, K list length, I items; position -1 pads a list that ran out of items.
"""

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from scipy.stats import rankdata

from ml.evaluation.metrics import MetricArray
from ml.ids import IntArray


def coverage(items_TK: IntArray, *, num_items: int) -> float:
    """Distinct items in all lists / items of the catalogue (0 for an empty one)."""
    shown = np.unique(items_TK[items_TK >= 0])
    return len(shown) / num_items if num_items else 0.0


def self_information(likes_I: IntArray, *, num_users: int) -> MetricArray:
    """Bits of surprise: -log2((likes + 1) / (users + 1)), 0 for an item everybody likes, shape [I].

    Zhou et al., "Solving the apparent diversity-accuracy dilemma", PNAS 107(10), 2010; add-one
    smoothing keeps items nobody liked finite.
    """
    return np.asarray(-np.log2((likes_I + 1.0) / (num_users + 1.0)))


def popularity_percentile(likes_I: IntArray) -> MetricArray:
    """Share of the catalogue that is less liked, ties counted half, in (0, 1), shape [I]."""
    return np.asarray((rankdata(likes_I, method="average") - 0.5) / max(len(likes_I), 1))


def mean_over_lists(value_I: npt.NDArray[np.floating], items_TK: IntArray) -> MetricArray:
    """Mean of an item figure over each list, NaN for an empty list, shape [T]."""
    shown_TK = items_TK >= 0
    if len(value_I) == 0:
        return np.full(len(items_TK), np.nan)
    total_T = np.where(shown_TK, value_I[items_TK], 0.0).sum(axis=1)
    return _ratio(total_T, shown_TK.sum(axis=1))


def mean_over_history(value_I: npt.NDArray[np.floating], liked_TI: sp.csr_array) -> MetricArray:
    """Mean of an item figure over what each user liked, NaN without a like, shape [T]."""
    liked_TI = sp.csr_array(liked_TI > 0, dtype=np.float64)
    return _ratio(liked_TI @ value_I, np.diff(liked_TI.indptr))


def _ratio(total_T: MetricArray, count_T: IntArray) -> MetricArray:
    ratio_T = np.full(len(total_T), np.nan)
    np.divide(total_T, count_T, out=ratio_T, where=count_T > 0)
    return ratio_T
