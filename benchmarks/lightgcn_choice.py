"""Settings of LightGCN on withheld train items alone, beside the spectral filter: the table that its defaults were read from.

The test is never asked (`questions.rehearsal`). "folded in" asks for the same users from their likes, as if they had not been there.
`--quick` tries the smallest set for one epoch.

python -m benchmarks.lightgcn_choice [--quick] [--json FILE]
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from benchmarks.published.questions import Question, rehearsal
from benchmarks.published.readers import read_split
from benchmarks.published.split import PublishedSplit
from benchmarks.quality import SPECTRAL_FILTERS
from benchmarks.report import Options, Row, parse_options, publish, timed
from ml.config import PipelineConfig
from ml.config.pipeline import LightGCNConfig
from ml.evaluation.rankings import Scorer
from ml.ids import FloatArray, IntArray
from ml.models.gnn.lightgcn import LightGCN

SPLIT, QUICK_SPLIT = "gowalla-lightgcn", "amazon-scientific-text"
NUM_USERS = 6000
SETTINGS: tuple[Mapping[str, object], ...] = (
    {},
    {"popularity_correction": 1.0},
    {"temperature": 0.1, "popularity_correction": 1.0},
    {"num_negatives": 1024},
    {"batches_per_step": 8, "learning_rate": 0.03},
)


@dataclass(frozen=True)
class FoldedIn:
    """A model that is asked for users by what they like, not by who they are."""

    model: LightGCN
    question: Question

    def score(self, user_index: IntArray) -> FloatArray:
        """Scores of their known pairs' histories."""
        return self.model.fold_in(self.question.inputs.histories.take(user_index))


def main(options: Options) -> None:
    """Try every setting and publish the table."""
    split = read_split(QUICK_SPLIT if options.quick else SPLIT)
    if split is None:
        raise SystemExit(f"{SPLIT} is not on this machine; set INTEREST_GRAPH_DATA to the folder that holds it")
    rows = list(_tried(split, quick=options.quick))
    publish("lightgcn_choice", rows, options=options, notes=["figures are of withheld train items, not to be held against test figures"])


def _tried(split: PublishedSplit, *, quick: bool) -> Iterator[Row]:
    question = rehearsal(split, num_users=NUM_USERS, rng=_rng())
    spectral = SPECTRAL_FILTERS[split.name]()
    with timed() as fitting:
        spectral.fit(question.inputs, rng=_rng())
    yield _row(spectral.name, spectral, split=split, question=question, cpu_seconds=fitting.cpu_seconds)
    for setting in SETTINGS[:1] if quick else SETTINGS:
        config = LightGCNConfig.model_validate({**setting, "epochs": 1} if quick else setting)
        with timed() as fitting:
            model = LightGCN(config).fit(question.inputs, rng=_rng())
        name = ", ".join(f"{key} {value}" for key, value in setting.items()) or "default"
        yield _row(name, model, split=split, question=question, cpu_seconds=fitting.cpu_seconds)
        if not setting:
            yield _row("default, folded in", FoldedIn(model, question), split=split, question=question, cpu_seconds=fitting.cpu_seconds)


def _row(name: str, model: Scorer, *, split: PublishedSplit, question: Question, cpu_seconds: float) -> Row:
    figures = question.put_to(model, protocol=split.protocol)
    return {
        "split": split.name,
        "setting": name,
        **{key: float(values.mean()) for key, values in figures.items()},
        "fit cpu s": cpu_seconds,
    }


def _rng() -> np.random.Generator:
    return np.random.default_rng(PipelineConfig().evaluation.seed)


if __name__ == "__main__":
    main(parse_options(__doc__))
