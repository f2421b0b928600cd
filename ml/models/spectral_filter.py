"""A low-pass filter on who likes what: the likes as their strongest singular vectors explain them, plus one hop of neighbours.

Shen et al., "How Powerful is Graph Convolution for Recommendation?" (GF-CF), CIKM 2021, arXiv
2108.07567, with many more vectors, weighed by their singular values. The vectors themselves are
`spectral`'s. Shapes: B batch of users, U users, I items, D vectors.
"""

from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import scipy.sparse as sp

from ml.ids import FloatArray, IntArray
from ml.models.adjacency import normalize_symmetric
from ml.models.few_items import few_items, product
from ml.models.histories import Histories, Recency
from ml.models.inputs import ModelInputs
from ml.models.recommender import require_known_users, require_same_items
from ml.models.spectral import truncated_svd
from ml.models.storage import load_model, save_model, sparse_from_arrays, sparse_to_arrays

_BLOCK_SIZE = 512


class SpectralFilter:
    """With N = Du^-1/2 R Di^-1/2 and its vectors V, values S: R (Di^-a V S^p V^T Di^a + neighborhood x N^T N).

    R is 1 where a user likes an item (on the left, given a `recency`, less for older likes), Du and Di are the degrees: through the
    vectors, popular items say less on the way in and gain on the way out. The vectors take 4 bytes x I x D. All settings but a
    greater `num_vectors` and `recency` act in `score`, so changing them needs no new fit.
    """

    name: ClassVar[str] = "spectral_filter"

    def __init__(
        self,
        *,
        num_vectors: int = 1024,
        singular_power: float = 0.5,
        degree_power: float = 0.5,
        neighborhood: float = 1.0,
        recency: Recency | None = None,
    ) -> None:
        """Up to `num_vectors`, bounded by the rank; `singular_power` is p, `degree_power` a; `neighborhood` weighs the second term."""
        if num_vectors < 0 or neighborhood < 0 or singular_power < 0:
            raise ValueError(
                f"num_vectors, singular_power and neighborhood must be at least 0, not {num_vectors}, {singular_power} and {neighborhood}"
            )
        self.num_vectors = num_vectors
        self.singular_power = singular_power
        self.degree_power = degree_power
        self.neighborhood = neighborhood
        self.recency = recency
        self._weighted_UI = sp.csr_array((0, 0), dtype=np.float32)
        self._normalized_UI = self._normalized_IU = sp.csr_array((0, 0), dtype=np.float32)
        self._degree_I: FloatArray = np.zeros(0, dtype=np.float32)
        self._value_D: FloatArray = np.zeros(0, dtype=np.float32)
        self._vectors_DI: FloatArray = np.zeros((0, 0), dtype=np.float32)

    def fit(self, inputs: ModelInputs, *, rng: np.random.Generator) -> Self:
        """Decompose the normalised likes; `rng` starts the search for the vectors."""
        self._weighted_UI = inputs.histories.weighted(self.recency)
        credible_UI = inputs.credible_UI
        self._degree_I = np.asarray(credible_UI.sum(axis=0, dtype=np.float64), dtype=np.float32)
        self._normalized_UI = normalize_symmetric(credible_UI)
        self._normalized_IU = sp.csr_array(self._normalized_UI.T)
        _, value_D, vectors_DI = truncated_svd(self._normalized_UI, num_vectors=self.num_vectors, rng=rng)
        num_kept = _numerical_rank(value_D, shape=self._normalized_UI.shape)
        self._value_D = value_D[:num_kept].astype(np.float32, copy=False)
        self._vectors_DI = np.ascontiguousarray(vectors_DI[:num_kept], dtype=np.float32)
        return self

    def score(self, user_index: IntArray) -> FloatArray:
        """The filtered likes, 0 for items nobody likes and for users without a like, shape [B, I]."""
        require_known_users(user_index, num_users=self._weighted_UI.shape[0])
        return self._filter(self._weighted_UI[user_index])

    def fold_in(self, histories: Histories) -> FloatArray:
        """As `score`, for new users, shape [B, I]."""
        require_same_items(histories, num_items=self._weighted_UI.shape[1])
        return self._filter(histories.weighted(self.recency))

    def _filter(self, weighted_BI: sp.csr_array) -> FloatArray:
        found = few_items(weighted_BI)
        if found is not None and len(found[1]) < len(found[0]):
            # What one like says is filtered once, however many rows hold it.
            weight_BK, item_K = found
            ones_K, starts_K = np.ones(len(item_K), dtype=np.float32), np.arange(len(item_K) + 1)
            each_KI = sp.csr_array((ones_K, item_K, starts_K), shape=(len(item_K), weighted_BI.shape[1]))
            return np.asarray(weight_BK @ self._filter(each_KI), dtype=np.float32)
        scores_BI = np.empty(weighted_BI.shape, dtype=np.float32)
        for start in range(0, len(scores_BI), _BLOCK_SIZE):
            block = slice(start, start + _BLOCK_SIZE)
            self._filter_block(weighted_BI if len(scores_BI) <= _BLOCK_SIZE else weighted_BI[block], out=scores_BI[block])
        return scores_BI

    def _filter_block(self, weighted_BI: sp.csr_array, *, out: FloatArray) -> None:
        """The class's formula for these rows, written to `out`."""
        vectors_DI = self._vectors_DI[: self.num_vectors]
        weight_D = np.power(self._value_D[: self.num_vectors], self.singular_power)
        # Nobody's item has a degree of 0 and vectors of 0; 1 keeps it finite.
        outward_I = np.power(np.where(self._degree_I > 0, self._degree_I, 1.0), self.degree_power)
        signal_E = (weighted_BI.data / outward_I[weighted_BI.indices]).astype(np.float32)
        signal_BI = sp.csr_array((signal_E, weighted_BI.indices, weighted_BI.indptr), shape=weighted_BI.shape)
        np.matmul(product(signal_BI, vectors_DI.T) * weight_D, vectors_DI, out=out)
        out *= outward_I
        if self.neighborhood > 0:
            near_BI = (weighted_BI @ self._normalized_IU) @ self._normalized_UI
            out += np.float32(self.neighborhood) * near_BI.toarray()

    def save(self, directory: Path) -> None:
        """Write histories, normalised likes and vectors."""
        parameters = {
            "num_vectors": self.num_vectors,
            "singular_power": self.singular_power,
            "degree_power": self.degree_power,
            "neighborhood": self.neighborhood,
        } | Recency.to_parameters(self.recency)
        arrays = sparse_to_arrays(self._weighted_UI, prefix="weighted") | sparse_to_arrays(self._normalized_UI, prefix="normalized")
        arrays |= {"degree": self._degree_I, "value": self._value_D, "vectors": self._vectors_DI}
        save_model(directory, name=self.name, parameters=parameters, arrays=arrays)

    @classmethod
    def load(cls, directory: Path) -> Self:
        """The model that `save` wrote."""
        parameters, arrays = load_model(directory, name=cls.name)
        model = cls(
            num_vectors=int(parameters["num_vectors"]),
            singular_power=float(parameters["singular_power"]),
            degree_power=float(parameters["degree_power"]),
            neighborhood=float(parameters["neighborhood"]),
            recency=Recency.from_parameters(parameters),
        )
        model._weighted_UI = sparse_from_arrays(arrays, prefix="weighted")
        model._normalized_UI = sparse_from_arrays(arrays, prefix="normalized")
        model._normalized_IU = sp.csr_array(model._normalized_UI.T)
        model._degree_I = arrays["degree"].astype(np.float32, copy=False)
        model._value_D = arrays["value"].astype(np.float32, copy=False)
        model._vectors_DI = arrays["vectors"].astype(np.float32, copy=False)
        return model


def _numerical_rank(value_D: FloatArray, *, shape: tuple[int, int]) -> int:
    """How many values, in falling order, are more than rounding; the vectors of the others are noise."""
    if len(value_D) == 0:
        return 0
    return int(np.count_nonzero(value_D > value_D[0] * max(shape) * np.finfo(np.float32).eps))
