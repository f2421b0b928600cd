"""Item-based nearest neighbours: items liked by the people who liked yours.

Deshpande & Karypis, "Item-based top-N recommendation algorithms", TOIS 22(1), 2004.
Shapes: B batch of users, U users, I items.
"""

from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import scipy.sparse as sp

from ml.ids import FloatArray, IntArray
from ml.models.few_items import product
from ml.models.histories import Histories, Recency
from ml.models.inputs import ModelInputs
from ml.models.recommender import require_known_users, require_same_items
from ml.models.storage import load_model, save_model, sparse_from_arrays, sparse_to_arrays
from ml.top_n import top_n

_BLOCK_SIZE = 1024


class ItemKNN:
    """Cosine similarity of item columns, shrunk, the nearest neighbours of each liked item summed."""

    name: ClassVar[str] = "item_knn"

    def __init__(self, *, num_neighbors: int = 100, shrinkage: float = 50.0, recency: Recency | None = None) -> None:
        """`num_neighbors` kept per item; `shrinkage` in units of users, pulls similarities of rare items to 0; `recency` of likes."""
        if num_neighbors < 1 or shrinkage < 0:
            raise ValueError(f"num_neighbors must be at least 1 and shrinkage at least 0, not {num_neighbors} and {shrinkage}")
        self.num_neighbors = num_neighbors
        self.shrinkage = shrinkage
        self.recency = recency
        self._weighted_UI = sp.csr_array((0, 0), dtype=np.float32)
        self._neighbors_II = sp.csr_array((0, 0), dtype=np.float32)

    def fit(self, inputs: ModelInputs, *, rng: np.random.Generator) -> Self:  # noqa: ARG002
        """Find each item's neighbours; `rng` is not needed."""
        liked_UI = inputs.histories.liked_UI
        self._weighted_UI = inputs.histories.weighted(self.recency)
        self._neighbors_II = nearest_items(
            liked_UI, credible_UI=inputs.credible_UI, num_neighbors=self.num_neighbors, shrinkage=self.shrinkage
        )
        return self

    def score(self, user_index: IntArray) -> FloatArray:
        """Summed similarity to what the user liked, 0 where nothing is near, shape [B, I]."""
        require_known_users(user_index, num_users=self._weighted_UI.shape[0])
        return self._near(self._weighted_UI[user_index])

    def fold_in(self, histories: Histories) -> FloatArray:
        """As `score`, for new users, shape [B, I]."""
        require_same_items(histories, num_items=self._weighted_UI.shape[1])
        return self._near(histories.weighted(self.recency))

    def _near(self, weighted_BI: sp.csr_array) -> FloatArray:
        return product(weighted_BI, self._neighbors_II)

    def save(self, directory: Path) -> None:
        """Write histories and neighbours."""
        parameters = {"num_neighbors": self.num_neighbors, "shrinkage": self.shrinkage} | Recency.to_parameters(self.recency)
        arrays = sparse_to_arrays(self._weighted_UI, prefix="weighted") | sparse_to_arrays(self._neighbors_II, prefix="neighbors")
        save_model(directory, name=self.name, parameters=parameters, arrays=arrays)

    @classmethod
    def load(cls, directory: Path) -> Self:
        """The model that `save` wrote."""
        parameters, arrays = load_model(directory, name=cls.name)
        model = cls(
            num_neighbors=int(parameters["num_neighbors"]),
            shrinkage=float(parameters["shrinkage"]),
            recency=Recency.from_parameters(parameters),
        )
        model._weighted_UI = sparse_from_arrays(arrays, prefix="weighted")
        model._neighbors_II = sparse_from_arrays(arrays, prefix="neighbors")
        return model


def nearest_items(liked_UI: sp.csr_array, *, num_neighbors: int, shrinkage: float, credible_UI: sp.csr_array | None = None) -> sp.csr_array:
    """Row i holds the `num_neighbors` items most similar to i, shape [I, I], diagonal empty.

    Similarity of items i and j: users who like both / (sqrt(likes of i x likes of j) + shrinkage),
    the cosine of their columns where shrinkage is 0. Ties go to the lower position. With `credible_UI`
    a user counts by the weight of their pairs there.
    """
    num_items = liked_UI.shape[1]
    liked_IU = sp.csr_array(liked_UI.T)
    weighed_UI = liked_UI if credible_UI is None else credible_UI
    likes_I = np.asarray(weighed_UI.sum(axis=0, dtype=np.float64))

    def similarity(item_index: IntArray) -> FloatArray:
        shared_BI: FloatArray = (liked_IU[item_index] @ weighed_UI).toarray()
        # One root of the exact product, so that equal similarities are equal bits and tie.
        scale_BI = np.sqrt(likes_I[item_index, None] * likes_I[None, :]) + shrinkage
        np.divide(shared_BI, scale_BI, out=shared_BI, where=scale_BI > 0, casting="same_kind")
        return shared_BI

    itself_II = sp.csr_array(sp.eye_array(num_items, dtype=np.float32))
    neighbors_IK, similarity_IK = top_n(
        similarity, user_index=np.arange(num_items), excluded_UI=itself_II, k=num_neighbors, block_size=_BLOCK_SIZE
    )
    kept_IK = (neighbors_IK >= 0) & (similarity_IK > 0)
    row_E = np.nonzero(kept_IK)[0]
    found_II = sp.csr_array((similarity_IK[kept_IK], (row_E, neighbors_IK[kept_IK])), shape=(num_items, num_items), dtype=np.float32)
    found_II.sort_indices()
    return found_II
