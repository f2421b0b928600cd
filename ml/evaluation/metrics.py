"""Accuracy of ranked lists, per user, from which ranks were hits.

Definitions follow Manning, Raghavan & Schütze, "Introduction to Information Retrieval", ch. 8,
with binary relevance and cut at K. Means, segments and intervals are made elsewhere.
Shapes: U users, K list length.
"""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from ml.ids import BoolArray, IntArray

MetricArray = npt.NDArray[np.float64]


def recall(hits_UK: BoolArray, num_relevant_U: IntArray) -> MetricArray:
    """Hits / relevant items: the share of all that was to be found, also where it exceeds K."""
    return np.asarray(hits_UK.sum(axis=1) / num_relevant_U, dtype=np.float64)


def ndcg(hits_UK: BoolArray, num_relevant_U: IntArray) -> MetricArray:
    """Sum over hit ranks r of 1 / log2(r + 1), over the same sum of the ideal list of min(K, relevant) hits.

    Järvelin & Kekäläinen, "Cumulated gain-based evaluation of IR techniques", TOIS 20(4), 2002, binary gain.
    """
    discount_K = 1.0 / np.log2(np.arange(hits_UK.shape[1]) + 2.0)
    ideal_K = np.cumsum(discount_K)
    ideal_U = ideal_K[np.minimum(num_relevant_U, len(ideal_K)) - 1]
    return np.asarray(hits_UK @ discount_K / ideal_U, dtype=np.float64)


def mrr(hits_UK: BoolArray, num_relevant_U: IntArray) -> MetricArray:  # noqa: ARG001
    """1 / rank of the first hit, 0 without one (Voorhees, TREC-8, 1999)."""
    first_U = hits_UK.argmax(axis=1)
    return np.where(hits_UK.any(axis=1), 1.0 / (first_U + 1.0), 0.0)


def average_precision(hits_UK: BoolArray, num_relevant_U: IntArray) -> MetricArray:
    """Sum over hit ranks r of (hits up to r) / r, over min(K, relevant); its mean over users is MAP."""
    num_ranks = hits_UK.shape[1]
    precision_UK = np.cumsum(hits_UK, axis=1) / np.arange(1.0, num_ranks + 1.0)
    total_U = (precision_UK * hits_UK).sum(axis=1)
    return np.asarray(total_U / np.minimum(num_relevant_U, num_ranks), dtype=np.float64)


def hit_rate(hits_UK: BoolArray, num_relevant_U: IntArray) -> MetricArray:  # noqa: ARG001
    """1 where the list holds a relevant item at all, else 0."""
    return np.asarray(hits_UK.any(axis=1), dtype=np.float64)


METRICS: dict[str, Callable[[BoolArray, IntArray], MetricArray]] = {
    "recall": recall,
    "ndcg": ndcg,
    "mrr": mrr,
    "map": average_precision,
    "hit_rate": hit_rate,
}


def accuracy(hits_UK: BoolArray, *, num_relevant_U: IntArray, cutoffs: Sequence[int]) -> dict[str, MetricArray]:
    """Every metric at every cutoff as `metric@k`, each shape [U].

    Column r - 1 of `hits_UK` says whether the item at rank r was relevant; a list that ran
    out of items is padded with False. Raises `ValueError` for a user without relevant items
    (nothing could be measured) and for lists shorter than a cutoff.
    """
    if len(num_relevant_U) and num_relevant_U.min() < 1:
        raise ValueError("every user measured needs a relevant item; leave users without one out")
    if max(cutoffs) > hits_UK.shape[1]:
        raise ValueError(f"lists of {hits_UK.shape[1]} cannot be cut at {max(cutoffs)}; rank at least that many items")
    return {f"{name}@{k}": metric(hits_UK[:, :k], num_relevant_U) for k in cutoffs for name, metric in METRICS.items()}
