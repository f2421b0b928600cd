"""Models where the last items matter more: alone, with recent likes counting more, by transitions, and summed; on validation items.

The table that settings of `benchmarks.quality` for sequences were read from. Weights of a sum were chosen on `CHOICE_USERS`
users, all figures are of the others; the test is never asked. What items are (attributes, texts) is `benchmarks.published.items`'s.
`--quick` measures the smallest set only.

python -m benchmarks.sequences [--quick] [--json FILE]
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import reduce

import numpy as np

from benchmarks.published.items import read_item_vectors
from benchmarks.published.questions import Question, rehearsal
from benchmarks.published.readers import read_split
from benchmarks.published.split import PublishedSplit
from benchmarks.quality import RECENT, SPECTRAL_FILTERS, TRANSITIONS
from benchmarks.report import Options, Row, parse_options, publish, timed
from ml.config import PipelineConfig
from ml.evaluation.rankings import Scorer
from ml.ids import FloatArray, IntArray
from ml.models.ease import EASE
from ml.models.histories import Recency
from ml.models.inputs import ModelInputs
from ml.models.item_knn import ItemKNN
from ml.models.recommender import Recommender
from ml.models.text_only import TextOnly

QUICK_SPLITS = ("amazon-scientific-text",)
CHOICE_USERS = 4000
# EASE of more items takes minutes.
MOST_EASE_ITEMS = 13_000
# What a score is divided by is measured on so many users.
SCALE_USERS = 1000
ITEM_RECENCY = Recency(2.0)
SUMS: Mapping[str, Mapping[str, float]] = {
    "s3rec-beauty": {"transitions": 1.0, "text_only, recent": 1.0},
    "s3rec-sports": {"transitions": 1.0, "text_only, recent": 0.5},
    "amazon-scientific-text": {"transitions": 1.0, "text_only, recent": 1.75},
}


@dataclass(frozen=True)
class ScoreSum:
    """Scores of models, each by its weight and over its own standard deviation."""

    models: Mapping[str, Scorer]
    weights: Mapping[str, float]
    scales: Mapping[str, float]

    def score(self, user_index: IntArray) -> FloatArray:
        """The weighted sum, shape [B, I]."""
        parts = (np.float32(weight / self.scales[name]) * self.models[name].score(user_index) for name, weight in self.weights.items())
        return reduce(np.add, parts)


def main(options: Options) -> None:
    """Measure every sequence split that is here."""
    rows: list[Row] = []
    for name in QUICK_SPLITS if options.quick else TRANSITIONS:
        split = read_split(name)
        if split is not None:
            rows += measure(split)
    notes = [f"validation items, of users other than the {CHOICE_USERS:,} that weights were chosen on; not to be held against test figures"]
    publish("sequences", rows, options=options, notes=notes)


def measure(split: PublishedSplit) -> Iterator[Row]:
    """A row per model, and one for their sum."""
    asked = others(rehearsal(split, rng=_rng()))
    models: dict[str, Recommender] = {}
    fit_seconds: dict[str, float] = {}
    for label, model, inputs in candidates(split.name, inputs=asked.inputs):
        with timed() as fitting:
            models[label] = model.fit(inputs, rng=_rng())
        fit_seconds[label] = fitting.cpu_seconds
        yield _row(split, asked, label=label, model=models[label], fit_seconds=fitting.cpu_seconds)
    weights = {label: weight for label, weight in SUMS[split.name].items() if label in models}
    scales = {label: float(models[label].score(asked.user_index[:SCALE_USERS]).std()) for label in weights}
    label = " + ".join(f"{weight:g} {label}" for label, weight in weights.items())
    yield _row(split, asked, label=label, model=ScoreSum(models, weights, scales), fit_seconds=sum(fit_seconds[of] for of in weights))


def others(question: Question) -> Question:
    """Asked of all but the users that weights were chosen on."""
    place_T = np.arange(len(question.user_index))
    chosen_T = np.random.default_rng(1).choice(place_T, min(CHOICE_USERS, len(place_T)), replace=False)
    return replace(question, user_index=question.user_index[~np.isin(place_T, chosen_T)])


def candidates(name: str, *, inputs: ModelInputs) -> Iterator[tuple[str, Recommender, ModelInputs]]:
    """Label, unfitted model and what it is fitted on."""
    yield "item_knn", ItemKNN(), inputs
    yield "item_knn, recent", ItemKNN(recency=RECENT[name]), inputs
    if len(inputs.items) <= MOST_EASE_ITEMS:
        yield "ease", EASE(max_items=MOST_EASE_ITEMS), inputs
        yield "ease, recent", EASE(max_items=MOST_EASE_ITEMS, recency=RECENT[name]), inputs
    spectral = SPECTRAL_FILTERS[name]
    yield "spectral_filter", spectral(), inputs
    yield "spectral_filter, recent", spectral(recency=RECENT[name]), inputs
    yield "transitions", TRANSITIONS[name](), inputs
    yield "transitions, no direction", TRANSITIONS[name](backward=1.0), inputs
    yield "transitions, no recency", TRANSITIONS[name](recency=None), inputs
    vectors_ID = read_item_vectors(name)
    if vectors_ID is not None:
        recent_UI = inputs.histories.weighted(ITEM_RECENCY)
        yield "text_only, recent", TextOnly(), replace(inputs, positives_UI=recent_UI, text_ID=vectors_ID)


def _row(split: PublishedSplit, asked: Question, *, label: str, model: Scorer, fit_seconds: float) -> Row:
    with timed() as ranking:
        figures = asked.put_to(model, protocol=split.protocol)
    means = {name: float(values.mean()) for name, values in figures.items()}
    return {"split": split.name, "model": label, **means, "fit cpu s": fit_seconds, "rank cpu s": ranking.cpu_seconds}


def _rng() -> np.random.Generator:
    return np.random.default_rng(PipelineConfig().evaluation.seed)


if __name__ == "__main__":
    main(parse_options(__doc__))
