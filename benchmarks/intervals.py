"""A mean with its interval, as every benchmark's table prints it. Shapes: T users or questions."""

import numpy as np

from ml.config import PipelineConfig
from ml.evaluation.intervals import bootstrap_means, percentile_interval
from ml.evaluation.metrics import MetricArray


def with_interval(values_T: MetricArray, *, sign: str = "") -> str:
    """The mean and its bootstrap interval, with the resamples, share and seed of `EvaluationConfig`; `sign` "+" for differences."""
    config = PipelineConfig().evaluation
    means = bootstrap_means(values_T[:, None], num_bootstrap=config.num_bootstrap, rng=np.random.default_rng(config.seed))
    low, high = percentile_interval(means, confidence=config.confidence)
    return f"{values_T.mean():{sign}.4f} ({low[0]:{sign}.4f} to {high[0]:{sign}.4f})"
