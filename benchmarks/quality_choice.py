"""Settings of the spectral filter on validation parts alone: the table that the choices in `benchmarks.quality` were read from.

A share of every user's train items is withheld, or the split's own validation part taken (`questions.rehearsal`);
the test is never asked. One decomposition of a split serves all its settings.
`--quick` tries the smallest set only.

python -m benchmarks.quality_choice [--quick] [--json FILE]
"""

from collections.abc import Iterator
from itertools import product

import numpy as np

from benchmarks.published.questions import Question, rehearsal
from benchmarks.published.readers import SPLITS, read_split
from benchmarks.published.split import PublishedSplit
from benchmarks.report import Options, Row, parse_options, publish
from ml.config import PipelineConfig
from ml.models.spectral_filter import SpectralFilter

QUICK_SPLITS = ("amazon-scientific-text",)
# Few enough for minutes; settings are told apart on the same users, so by less than their intervals.
NUM_USERS = 2000
NUM_VECTORS = (128, 256, 512, 1024)
SINGULAR_POWERS = (0.5, 1.0)
NEIGHBORHOODS = (0.5, 1.0, 2.0, 4.0)


def main(options: Options) -> None:
    """Try every setting on every split that is here."""
    rows: list[Row] = []
    for name in QUICK_SPLITS if options.quick else SPLITS:
        split = read_split(name)
        if split is not None:
            rows += _tried(split, question=rehearsal(split, num_users=NUM_USERS, rng=_rng()))
    publish("quality_choice", rows, options=options, notes=["figures are of withheld train items, not to be held against test figures"])


def _tried(split: PublishedSplit, *, question: Question) -> Iterator[Row]:
    model = SpectralFilter(num_vectors=max(NUM_VECTORS)).fit(question.inputs, rng=_rng())
    for num_vectors, singular_power, neighborhood in product(NUM_VECTORS, SINGULAR_POWERS, NEIGHBORHOODS):
        # Scoring alone reads these, so one decomposition serves all.
        model.num_vectors, model.singular_power, model.neighborhood = num_vectors, singular_power, neighborhood
        figures = question.put_to(model, protocol=split.protocol)
        tried: Row = {"split": split.name, "vectors": num_vectors, "singular power": singular_power, "neighborhood": neighborhood}
        yield {**tried, **{name: float(values.mean()) for name, values in figures.items()}}


def _rng() -> np.random.Generator:
    return np.random.default_rng(PipelineConfig().evaluation.seed)


if __name__ == "__main__":
    main(parse_options(__doc__))
