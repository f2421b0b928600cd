"""How a published table measures: which lists, which formulas. Two of them share the name NDCG.

Formulas that are ours too come from `ml.evaluation.metrics`; here are only those that others use.
Shapes: U users, K list length.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from ml.evaluation.metrics import MetricArray, hit_rate, ndcg, recall
from ml.ids import BoolArray, IntArray

Metric = Callable[[BoolArray, IntArray], MetricArray]
# KGAT ranks as many items as its largest cut-off, 100, and takes its ideal list from all of them.
KGAT_LIST_LENGTH = 100


@dataclass(frozen=True)
class Protocol:
    """Lists of `list_length` over every item not in train, and the figures read from them, by name, mostly from `judged_length` ranks."""

    list_length: int
    judged_length: int
    metrics: Mapping[str, Metric]

    def measure(self, hits_UK: BoolArray, *, num_relevant_U: IntArray) -> dict[str, MetricArray]:
        """Every figure of every user, each shape [U]."""
        return {name: metric(hits_UK, num_relevant_U) for name, metric in self.metrics.items()}


def cut(metric: Metric, *, k: int) -> Metric:
    """The metric of the first `k` ranks."""
    return lambda hits_UK, num_relevant_U: metric(hits_UK[:, :k], num_relevant_U)


def ndcg_of_list(hits_UK: BoolArray, *, k: int) -> MetricArray:
    """The discounted gain of the first `k` ranks over that of the list's own hits moved to its front; 0 without a hit.

    KGAT's formula (xiangwang1223/knowledge_graph_attention_network, Model/utility/metrics.py, `ndcg_at_k`): the ideal holds
    what the list of K found, not what there was to find, so it is never below the standard formula and rewards no
    recall. KGIN, LightGCN and we divide by the ideal of min(k, relevant) hits instead (`ml.evaluation.metrics.ndcg`).
    """
    discount_K = 1.0 / np.log2(np.arange(k) + 2.0)
    ideal_K = np.concatenate([[0.0], np.cumsum(discount_K)])
    ideal_U = ideal_K[np.minimum(hits_UK.sum(axis=1), k)]
    ndcg_U = np.zeros(len(hits_UK))
    np.divide(hits_UK[:, :k] @ discount_K, ideal_U, out=ndcg_U, where=ideal_U > 0)
    return ndcg_U


def _ndcg_of_list_at_20(hits_UK: BoolArray, num_relevant_U: IntArray) -> MetricArray:  # noqa: ARG001
    return ndcg_of_list(hits_UK, k=20)


# He et al., "LightGCN", SIGIR 2020, and Wang et al., "KGAT", KDD 2019: all items not in train are ranked.
ALL_RANKING = Protocol(
    list_length=KGAT_LIST_LENGTH,
    judged_length=20,
    metrics={"recall@20": cut(recall, k=20), "ndcg@20": cut(ndcg, k=20), "ndcg@20 of the list (KGAT)": _ndcg_of_list_at_20},
)
# Zhou et al., "S3-Rec", CIKM 2020, and Hou et al., "UniSRec", KDD 2022: the item that came next, all items ranked.
NEXT_ITEM = Protocol(list_length=10, judged_length=10, metrics={"hit_rate@10": hit_rate, "ndcg@10": ndcg})
