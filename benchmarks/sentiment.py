"""Sentiment on held-out reviews: accuracy, AUC and calibration, beside plain TF-IDF and logistic regression, in one run.

Chinese shopping and food reviews by their labels (a random fifth held out, asked of both models), English reviews of
instruments 1-2 against 4-5 stars (the newest fifth held out). Vectors of texts come from the cache in
INTEREST_GRAPH_HOME where that is set: encoding all texts takes some ten processor minutes.

python -m benchmarks.sentiment [--quick] [--json FILE]
"""

import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline

from benchmarks.report import Options, Row, Value, data_folder, parse_options, publish, timed
from ml.calibration import calibration_bins, calibration_error
from ml.config.pipeline import ReviewConfig, TextConfig
from ml.ids import FloatArray
from ml.reviews.sentiment import fit_sentiment
from ml.text.cache import EmbeddingCache, embed
from ml.text.encoder import load_encoder

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.bool_]
SEED, TEST_SHARE = 5, 0.2
QUICK_TEXTS = 1500


@dataclass(frozen=True)
class Texts:
    """Labelled texts with their vectors."""

    texts: pa.Array
    vectors_ND: FloatArray
    is_positive_N: Labels

    def take(self, rows: npt.NDArray[np.int64]) -> "Texts":
        """Some of them."""
        return Texts(self.texts.take(pa.array(rows)), self.vectors_ND[rows], self.is_positive_N[rows])


@dataclass(frozen=True)
class Exam:
    """What is learned from, what is asked."""

    name: str
    language: str
    training: Texts
    tests: Mapping[str, Texts]


Predict = Callable[[Texts], tuple[Floats, npt.NDArray[np.bool_] | None]]


def main(options: Options) -> None:
    """Fit ours, ours without meaning, and the baseline on every training part, and publish the table."""
    with tempfile.TemporaryDirectory() as own:
        cache = Path(os.environ.get("INTEREST_GRAPH_HOME", own)) / "embeddings"
        exams = _exams(cache, most=QUICK_TEXTS if options.quick else None)
    if not exams:
        raise SystemExit("no review data is here; set INTEREST_GRAPH_DATA to the folder that holds it")
    rows = [row for exam in exams for row in _measure(exam)]
    notes = [
        f"test: of each set a random fifth by seed {SEED} (Chinese) or the newest fifth (English), the same for every training set",
        "answered, accuracy answered: outside the abstain band; bins: said/true share of good reviews per tenth of probability",
    ]
    publish("sentiment", rows, options=options, notes=notes)


def _exams(cache: Path, *, most: int | None) -> list[Exam]:
    found: dict[str, tuple[Texts, Texts]] = {}
    for name, read in (("shopping", _shopping), ("waimai", _waimai), ("instruments", _instruments)):
        table = read()
        if table is not None:
            found[name] = _split(_embedded(table if most is None else _some(table, most), cache), by_time=name == "instruments")
    language = {"shopping": "zh", "waimai": "zh", "instruments": "en"}
    return [
        Exam(name, language[name], training, {other: test for other, (_, test) in found.items() if language[other] == language[name]})
        for name, (training, _) in found.items()
    ]


def _measure(exam: Exam) -> list[Row]:
    learners = {
        "ours": _ours(exam, with_meaning=True),
        "ours, words alone": _ours(exam, with_meaning=False),
        "TF-IDF + LR": _baseline(exam),
    }
    return [row for name, learner in learners.items() for row in _rows(exam, name, learner)]


def _rows(exam: Exam, name: str, learner: Callable[[], Predict]) -> list[Row]:
    with timed() as fitting:
        predict = learner()
    about: dict[str, Value] = {"training": exam.name, "texts": len(exam.training.texts), "model": name, "fit cpu s": fitting.cpu_seconds}
    return [about | {"test": asked, "number": len(test.texts)} | _figures(predict, test) for asked, test in exam.tests.items()]


def _figures(predict: Predict, test: Texts) -> dict[str, Value]:
    labels = test.is_positive_N
    probability_N, is_abstained_N = predict(test)
    answered_N = np.ones(len(labels), dtype=np.bool_) if is_abstained_N is None else ~is_abstained_N
    is_right_N = (probability_N >= 0.5) == labels
    said_K, true_K, number_K = calibration_bins(probability_N, is_positive_N=labels)
    curve = " ".join(f"{said:.2f}/{true:.2f}" for said, true, number in zip(said_K, true_K, number_K, strict=True) if number)
    return {
        "accuracy": float(is_right_N.mean()),
        "AUC": float(roc_auc_score(labels, probability_N)),
        "ECE": calibration_error(probability_N, is_positive_N=labels),
        "answered": float(answered_N.mean()),
        "accuracy answered": float(is_right_N[answered_N].mean()),
        "bins": curve,
    }


def _ours(exam: Exam, *, with_meaning: bool) -> Callable[[], Predict]:
    def vectors(part: Texts) -> FloatArray:
        return part.vectors_ND if with_meaning else np.zeros((len(part.texts), 1), dtype=np.float32)

    def learn() -> Predict:
        part = exam.training
        learned = fit_sentiment(
            part.texts, vectors_ND=vectors(part), is_positive_N=part.is_positive_N, language=exam.language, config=ReviewConfig()
        )

        def predict(asked: Texts) -> tuple[Floats, npt.NDArray[np.bool_] | None]:
            judged = learned.model.judge(asked.texts, vectors_ND=vectors(asked))
            return (judged.score_N + 1) / 2, judged.is_abstained_N

        return predict

    return learn


def _baseline(exam: Exam) -> Callable[[], Predict]:
    """What most would write first: words of English, runs of one and two characters of Chinese."""

    def learn() -> Predict:
        grams: dict[str, Any] = {"analyzer": "word"} if exam.language == "en" else {"analyzer": "char", "ngram_range": (1, 2)}
        model = make_pipeline(TfidfVectorizer(**grams), LogisticRegression(max_iter=1000))
        model.fit(exam.training.texts.to_pylist(), exam.training.is_positive_N)
        return lambda asked: (np.asarray(model.predict_proba(asked.texts.to_pylist())[:, 1]), None)

    return learn


def _split(found: Texts, *, by_time: bool) -> tuple[Texts, Texts]:
    order = np.arange(len(found.texts)) if by_time else np.random.default_rng(SEED).permutation(len(found.texts))
    cut = round(len(order) * (1 - TEST_SHARE))
    return found.take(order[:cut]), found.take(order[cut:])


def _embedded(table: pa.Table, cache: Path) -> Texts:
    encoder = load_encoder(TextConfig())
    texts = table.column("text").combine_chunks()
    result = embed(texts.to_pylist(), encoder=encoder, cache=EmbeddingCache(cache, space=encoder.space))
    return Texts(texts, result.vectors_ND, np.asarray(table.column("is_positive").to_numpy(), dtype=np.bool_))


def _some(table: pa.Table, most: int) -> pa.Table:
    return table.take(pa.array(np.sort(np.random.default_rng(SEED).permutation(table.num_rows)[:most])))


def _shopping() -> pa.Table | None:
    return _labelled("zh-online-shopping-reviews")


def _waimai() -> pa.Table | None:
    return _labelled("zh-waimai-10k")


def _labelled(name: str) -> pa.Table | None:
    folder = data_folder(name)
    if folder is None:
        return None
    table = pq.read_table(folder / "reviews.parquet")
    texts = [text or "" for text in table.column("review").to_pylist()]
    return pa.table({"text": pa.array(texts, pa.string()), "is_positive": table.column("label").to_numpy() == 1})


def _instruments() -> pa.Table | None:
    """Oldest first; three stars say neither."""
    folder = data_folder("amazon-musical-instruments-reviews")
    if folder is None:
        return None
    table = pq.read_table(folder / "reviews.parquet").sort_by(
        [("unixReviewTime", "ascending"), ("reviewerID", "ascending"), ("asin", "ascending")]
    )
    stars = table.column("overall").to_numpy()
    columns = zip(table.column("summary").to_pylist(), table.column("reviewText").to_pylist(), strict=True)
    texts = [". ".join(part.strip() for part in parts if part and part.strip()) for parts in columns]
    found = pa.table({"text": pa.array(texts, pa.string()), "is_positive": stars > 3})
    return found.filter(pa.array(stars != 3))


if __name__ == "__main__":
    main(parse_options(__doc__))
