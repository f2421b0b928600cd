"""The metrics again, one list at a time, read off their formulas."""

import math


def slow_metric(metric: str, hits: list[bool], num_relevant: int) -> float:
    k = len(hits)
    ranks = [rank for rank in range(1, k + 1) if hits[rank - 1]]
    if metric == "recall":
        return len(ranks) / num_relevant
    if metric == "hit_rate":
        return 1.0 if ranks else 0.0
    if metric == "mrr":
        return 1.0 / min(ranks) if ranks else 0.0
    if metric == "ndcg":
        ideal = sum(1.0 / math.log2(rank + 1) for rank in range(1, min(k, num_relevant) + 1))
        return sum(1.0 / math.log2(rank + 1) for rank in ranks) / ideal
    assert metric == "map"
    precisions = [sum(1 for other in ranks if other <= rank) / rank for rank in ranks]
    return sum(precisions) / min(k, num_relevant)
