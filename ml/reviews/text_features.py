"""Grams of texts as TF-IDF rows: what is said in letters, for a linear model to weigh.

The vocabulary is learned on training texts and travels with the model; grams outside it are
left out. Shapes: N texts, V features of the vocabulary.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import scipy.sparse as sp

from ml.reviews.grams import Grams, character_grams, word_grams

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class TextFeatures:
    """Names of the features, sorted, and their inverse document frequencies, both shape [V]."""

    names: pa.Array
    idf_V: Floats
    language: str

    def __len__(self) -> int:
        return len(self.names)

    def rows(self, texts: pa.Array | pa.ChunkedArray) -> sp.csr_array:
        """Sublinear TF-IDF, words and characters each of unit length, shape [N, V]."""
        blocks = [_counts(grams, names=self.names, num_texts=len(texts)) for grams in _grams(texts, language=self.language)]
        return sp.csr_array(sum((_weighed(block, idf_V=self.idf_V) for block in blocks), sp.csr_array((len(texts), len(self)))))


def learn_text_features(texts: pa.Array | pa.ChunkedArray, *, language: str, min_texts: int) -> TextFeatures:
    """The grams that `min_texts` of the texts hold; idf is `1 + ln((1 + N) / (1 + texts with it))`."""
    kept, seen = [], []
    for grams in _grams(texts, language=language):
        met_V = np.bincount(_distinct_pairs(grams)[1], minlength=len(grams.names))
        often = met_V >= min_texts
        kept.append(grams.names.filter(pa.array(often)))
        seen.append(met_V[often])
    names, met_V = pa.concat_arrays(kept), np.concatenate(seen)
    order = pc.array_sort_indices(names)
    return TextFeatures(names.take(order), (1.0 + np.log((1 + len(texts)) / (1 + met_V)))[np.asarray(order)], language)


def _grams(texts: pa.Array | pa.ChunkedArray, *, language: str) -> tuple[Grams, Grams]:
    return word_grams(texts, language=language), character_grams(texts)


def _distinct_pairs(grams: Grams) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    num_grams = max(len(grams.names), 1)
    return np.divmod(np.unique(grams.text_T * num_grams + grams.gram_T), num_grams)


def _counts(grams: Grams, *, names: pa.Array, num_texts: int) -> sp.csr_array:
    """How often each text holds each feature, features of the other kind empty."""
    place_V = np.asarray(pc.fill_null(pc.index_in(grams.names, value_set=names), -1), dtype=np.int64)
    feature_T = place_V[grams.gram_T]
    known = feature_T >= 0
    cells = (np.ones(int(known.sum())), (grams.text_T[known], feature_T[known]))
    counts = sp.csr_array(cells, shape=(num_texts, len(names)))
    counts.sum_duplicates()
    return counts


def _weighed(counts: sp.csr_array, *, idf_V: Floats) -> sp.csr_array:
    counts.data = (1.0 + np.log(counts.data)) * idf_V[counts.indices]
    norm_N = np.sqrt(np.asarray(counts.power(2).sum(axis=1)))
    return sp.csr_array(sp.diags_array(1.0 / np.where(norm_N > 0, norm_N, 1.0)) @ counts)
