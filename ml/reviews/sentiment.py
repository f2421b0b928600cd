"""The sentiment of a text: a calibrated linear model on its meaning and its words.

Meaning is the text's vector of the encoder, words are TF-IDF of grams (`ml.reviews.text_features`), so both languages
work although the encoder knows one. Kept as safetensors, Parquet and JSON. Shapes: N texts, V grams, D vector dimensions.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import scipy.sparse as sp
from safetensors.numpy import load_file, save_file
from sklearn.linear_model import LogisticRegression

from ml.config.pipeline import ReviewConfig
from ml.contracts.files import write_parquet, write_text
from ml.ids import BoolArray, FloatArray, IntArray
from ml.reviews.calibration import Calibration, calibrate
from ml.reviews.text_features import TextFeatures, learn_text_features

Floats = npt.NDArray[np.float64]

MEANING = "meaning"
_FOLDS = 3


@dataclass(frozen=True)
class Judged:
    """Sentiments of N texts: `score_N` in [-1, 1], how sure in [0.5, 1], and which are too unsure to be used."""

    score_N: Floats
    confidence_N: Floats
    is_abstained_N: BoolArray


@dataclass(frozen=True)
class SentimentModel:
    """Weights of grams, shape [V], and of vector dimensions, shape [D]; above 0 speaks for a good review."""

    features: TextFeatures
    gram_weight_V: Floats
    vector_weight_D: Floats
    intercept: float
    calibration: Calibration

    def judge(self, texts: pa.Array | pa.ChunkedArray, *, vectors_ND: FloatArray) -> Judged:
        """The sentiment of each text."""
        return self.judged(self.contributions(texts), vectors_ND=vectors_ND)

    def judged(self, contributions_NV: sp.csr_array, *, vectors_ND: FloatArray) -> Judged:
        """The same, from contributions that are there already."""
        margin_N = np.asarray(contributions_NV.sum(axis=1)) + self._meaning(vectors_ND) + self.intercept
        return _judged(margin_N, self.calibration)

    def contributions(self, texts: pa.Array | pa.ChunkedArray) -> sp.csr_array:
        """What each gram of each text adds to its margin, shape [N, V]."""
        rows_NV = self.features.rows(texts)
        rows_NV.data = rows_NV.data * self.gram_weight_V[rows_NV.indices]
        return rows_NV

    def explain(self, contributions_NV: sp.csr_array, *, vectors_ND: FloatArray, num_reasons: int) -> pa.Array:
        """The grams that moved each score most and its meaning, strongest first, as `+0.81 great`; lists, shape [N]."""
        meaning_N = self._meaning(vectors_ND)
        cells = sp.coo_array(contributions_NV)
        num_texts = len(meaning_N)
        row_E = np.concatenate([cells.coords[0], np.arange(num_texts)]).astype(np.int64)
        part_E = np.concatenate([cells.coords[1], np.full(num_texts, len(self.features))]).astype(np.int64)
        moved_E = np.concatenate([cells.data, meaning_N])
        chosen_E = _largest(row_E, part_E, moved_E, limit=num_reasons)
        names = pa.concat_arrays([pc.utf8_slice_codeunits(self.features.names, 2), pa.array([MEANING], pa.string())])
        said = [f"{moved:+.2f}" for moved in moved_E[chosen_E]]
        shown = pc.binary_join_element_wise(pa.array(said, pa.string()), names.take(pa.array(part_E[chosen_E])), " ")
        offsets = np.searchsorted(row_E[chosen_E], np.arange(num_texts + 1))
        return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), shown)

    def save(self, directory: Path) -> None:
        """Write the model; equal models give equal bytes."""
        directory.mkdir(parents=True, exist_ok=True)
        arrays = {"gram_weight": self.gram_weight_V, "vector_weight": self.vector_weight_D}
        save_file(arrays, directory / "weights.safetensors")
        write_parquet(pa.table({"name": self.features.names, "idf": self.features.idf_V}), directory / "features.parquet")
        about = {"language": self.features.language, "intercept": self.intercept, "calibration": asdict(self.calibration)}
        write_text(json.dumps(about), directory / "sentiment.json")

    @classmethod
    def load(cls, directory: Path) -> "SentimentModel":
        """The model that `save` wrote."""
        arrays = load_file(directory / "weights.safetensors")
        features = pq.read_table(directory / "features.parquet")
        about = json.loads((directory / "sentiment.json").read_text(encoding="utf-8"))
        return cls(
            TextFeatures(features.column("name").combine_chunks(), features.column("idf").to_numpy(), about["language"]),
            arrays["gram_weight"],
            arrays["vector_weight"],
            about["intercept"],
            Calibration(**about["calibration"]),
        )

    def _meaning(self, vectors_ND: FloatArray) -> Floats:
        return np.asarray(vectors_ND.astype(np.float64) @ self.vector_weight_D, dtype=np.float64)


@dataclass(frozen=True)
class Learned:
    """A model, and what models that had not seen them say of the texts it learned from."""

    model: SentimentModel
    judged: Judged


def fit_sentiment(
    texts: pa.Array | pa.ChunkedArray, *, vectors_ND: FloatArray, is_positive_N: BoolArray, language: str, config: ReviewConfig
) -> Learned:
    """Learn from labelled texts, in the order given: sort them first where that order is by chance.

    Three models of two thirds each give every text a margin by one that has not seen it; on those the model of all is
    calibrated. Raises `ValueError` where one side has fewer than three texts.
    """
    if min(int(is_positive_N.sum()), int((~is_positive_N).sum())) < _FOLDS:
        raise ValueError(f"{int(is_positive_N.sum())} of {len(is_positive_N)} texts are positive: three of each kind are needed at least")
    features = learn_text_features(texts, language=language, min_texts=config.min_texts_per_gram)
    rows = _joined(features.rows(texts), vectors_ND)
    fold_N = _folds(is_positive_N)
    margin_N = np.zeros(len(fold_N))
    for fold in range(_FOLDS):
        held_N = fold_N == fold
        margin_N[held_N] = _head(rows[~held_N], is_positive_N[~held_N], config=config).decision_function(rows[held_N])
    calibration = calibrate(
        margin_N, is_positive_N=is_positive_N, accuracy=config.sentiment_accuracy, max_abstained=config.max_abstained_share
    )
    head = _head(rows, is_positive_N, config=config)
    weights = np.asarray(head.coef_[0], dtype=np.float64)
    intercept = float(head.intercept_[0])
    model = SentimentModel(features, weights[: len(features)], weights[len(features) :], intercept, calibration)
    return Learned(model, _judged(margin_N, calibration))


def _folds(is_positive_N: BoolArray) -> IntArray:
    """The texts of each kind dealt to the folds in turn, so that every fold holds both."""
    rank_N = np.where(is_positive_N, np.cumsum(is_positive_N), np.cumsum(~is_positive_N))
    return np.asarray(rank_N % _FOLDS, dtype=np.int64)


def _joined(rows_NV: sp.csr_array, vectors_ND: FloatArray) -> sp.csr_matrix:
    joined = sp.csr_matrix(sp.hstack([rows_NV, sp.csr_array(vectors_ND.astype(np.float64))]))
    # The solver reads 32-bit positions only.
    joined.indices, joined.indptr = joined.indices.astype(np.int32), joined.indptr.astype(np.int32)
    return joined


def _head(rows: sp.csr_matrix, is_positive_N: BoolArray, *, config: ReviewConfig) -> LogisticRegression:
    head = LogisticRegression(C=config.sentiment_inverse_regularization, solver="liblinear", max_iter=1000, random_state=0)
    return head.fit(rows, is_positive_N)


def _judged(margin_N: Floats, calibration: Calibration) -> Judged:
    probability_N = calibration.probability(margin_N)
    confidence_N = np.maximum(probability_N, 1 - probability_N)
    return Judged(2 * probability_N - 1, confidence_N, confidence_N < calibration.threshold)


def _largest(row_E: IntArray, part_E: IntArray, moved_E: Floats, *, limit: int) -> IntArray:
    """Positions of each row's `limit` largest magnitudes, row by row, largest first, ties by part."""
    order = np.lexsort((part_E, -np.round(np.abs(moved_E), 9), row_E))
    order = order[moved_E[order] != 0]
    place = np.arange(len(order)) - np.searchsorted(row_E[order], row_E[order])
    return np.asarray(order[place < limit], dtype=np.int64)
