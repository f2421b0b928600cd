"""Models on published splits under the protocol of each: figures beside published ones, with what they cost.

This is the last run: it asks the test of every split, once, with settings that `benchmarks.quality_choice` found on
validation parts. Sets are found by INTEREST_GRAPH_DATA or beside the checkout; those that are not there are named.
`--quick` asks a sample of users of gowalla and of the smallest set.

python -m benchmarks.quality [--quick] [--json FILE]
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from benchmarks.published.questions import Question, final
from benchmarks.published.readers import SPLITS, read_split
from benchmarks.published.split import PublishedSplit
from benchmarks.report import Options, Row, costed, parse_options, publish, timed
from ml.config import PipelineConfig
from ml.evaluation.intervals import bootstrap_means, percentile_interval
from ml.evaluation.metrics import MetricArray
from ml.ids import FloatArray, IntArray
from ml.models.ease import EASE
from ml.models.histories import Recency
from ml.models.item_knn import ItemKNN
from ml.models.popularity import Popularity
from ml.models.recommender import Recommender
from ml.models.spectral_filter import SpectralFilter
from ml.models.transitions import Transitions

QUICK_SPLITS, QUICK_USERS = ("gowalla-lightgcn", "amazon-scientific-text"), 2000
# EASE is dense: 12 bytes x items squared at its peak.
EASE_LIMIT_GIB = 6.0
SPECTRAL_FILTERS: Mapping[str, Callable[..., SpectralFilter]] = {
    "gowalla-lightgcn": partial(SpectralFilter, num_vectors=1024, singular_power=0.0, neighborhood=2.0),
    "amazon-book-kgat": partial(SpectralFilter, num_vectors=1024, singular_power=0.5, neighborhood=4.0),
    "s3rec-beauty": partial(SpectralFilter, num_vectors=128, singular_power=0.5, neighborhood=0.5),
    "s3rec-sports": partial(SpectralFilter, num_vectors=128, singular_power=0.5, neighborhood=0.5),
    "amazon-scientific-text": partial(SpectralFilter, num_vectors=128, singular_power=0.5, neighborhood=1.0),
}
# Of the sequence splits, by `benchmarks.sequences`.
RECENT: Mapping[str, Recency] = {
    "s3rec-beauty": Recency(2.0),
    "s3rec-sports": Recency(4.0),
    "amazon-scientific-text": Recency(4.0),
}
TRANSITIONS: Mapping[str, Callable[..., Transitions]] = {
    "s3rec-beauty": partial(Transitions, recency=Recency(1.5), backward=0.3, gap_power=0.5),
    "s3rec-sports": partial(Transitions, recency=Recency(4.0), backward=0.6, gap_power=0.25),
    "amazon-scientific-text": partial(Transitions, recency=Recency(4.0), backward=1.0, gap_power=0.25),
}


@dataclass
class ScoredModel:
    """A fitted model and the processor seconds its scores took, apart from ranking them."""

    model: Recommender
    cpu_seconds: float = 0.0

    def score(self, user_index: IntArray) -> FloatArray:
        """The model's scores, timed."""
        with timed() as timing:
            scores_BI = self.model.score(user_index)
        self.cpu_seconds += timing.cpu_seconds
        return scores_BI


def main(options: Options) -> None:
    """Measure every split that is here and publish the table."""
    rows: list[Row] = []
    absent: list[str] = []
    for name in QUICK_SPLITS if options.quick else SPLITS:
        split = read_split(name)
        if split is None:
            absent.append(name)
        else:
            question = final(split, num_users=QUICK_USERS if options.quick else None, rng=_rng())
            rows += [_row(split, question=question, model=model) for model in contestants(name)]
    notes = [
        "intervals: 95%, bootstrap over users; cpu s: processor seconds over all threads; rank: the best of all scores",
        "grown MiB: peak resident memory of fitting and ranking, minus that just before",
        *([f"not on this machine: {', '.join(absent)}"] if absent else []),
    ]
    publish("quality", rows, options=options, notes=notes)


def contestants(name: str) -> Iterator[Recommender]:
    """The models of a split, unfitted, made one at a time so that only one is held."""
    yield Popularity()
    yield ItemKNN()
    yield EASE(max_items=_most_items())
    yield SPECTRAL_FILTERS[name]()
    if name in TRANSITIONS:
        yield ItemKNN(recency=RECENT[name])
        yield EASE(max_items=_most_items(), recency=RECENT[name])
        yield TRANSITIONS[name]()


def labelled(model: Recommender) -> str:
    """The model's name, with the half-life of its likes where it has one."""
    recency = getattr(model, "recency", None)
    return model.name if recency is None else f"{model.name}, half-life {recency.half_life:g} {recency.unit}"


def _most_items() -> int:
    return int(np.sqrt(EASE_LIMIT_GIB * 2**30 / 12))


def _row(split: PublishedSplit, *, question: Question, model: Recommender) -> Row:
    about: Row = {"split": split.name, "model": labelled(model), "users": len(question.user_index)}
    num_liked = np.count_nonzero(question.known_UI.sum(axis=0))
    if isinstance(model, EASE) and num_liked > model.max_items:
        needed = 12 * num_liked**2 / 2**30
        return {**about, "note": f"not run: {num_liked:,} items need {needed:.1f} GiB, the limit is {EASE_LIMIT_GIB:.0f}"}
    with costed() as fitting:
        model.fit(question.inputs, rng=_rng())
    scored = ScoredModel(model)
    with costed() as ranking:
        figures = question.put_to(scored, protocol=split.protocol)
    return {
        **about,
        **{name: _interval(values) for name, values in figures.items()},
        "fit cpu s": fitting.timing.cpu_seconds,
        "score cpu s": scored.cpu_seconds,
        "rank cpu s": ranking.timing.cpu_seconds - scored.cpu_seconds,
        "grown MiB": max(fitting.grown_bytes, ranking.grown_bytes) / 2**20,
    }


def _interval(values_T: MetricArray) -> str:
    config = PipelineConfig().evaluation
    means = bootstrap_means(values_T[:, None], num_bootstrap=config.num_bootstrap, rng=np.random.default_rng(config.seed))
    low, high = percentile_interval(means, confidence=config.confidence)
    return f"{values_T.mean():.4f} ({low[0]:.4f} to {high[0]:.4f})"


def _rng() -> np.random.Generator:
    return np.random.default_rng(PipelineConfig().evaluation.seed)


if __name__ == "__main__":
    main(parse_options(__doc__))
