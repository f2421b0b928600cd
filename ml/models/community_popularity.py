"""What is popular in the communities a user's likes lie in: coarser than neighbours, finer than popularity.

Communities are `ml.graph.communities`', of the graph as known at fit. Shapes: B batch of users, U users, I items, C communities.
"""

from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import scipy.sparse as sp

from ml.graph.communities import communities_of
from ml.ids import FloatArray, IntArray
from ml.models.histories import Histories
from ml.models.inputs import ModelInputs
from ml.models.popularity import Popularity
from ml.models.recommender import require_known_users, require_same_items
from ml.models.storage import load_model, save_model, sparse_from_arrays, sparse_to_arrays


class CommunityPopularity:
    """Popularity of the item times the share of the user's faded likes in its community; 0 outside all of them.

    Leiden (Traag, Waltman & van Eck, Scientific Reports 9, 2019) on users, items and interests at once; a graph without
    edges has no communities, and every score is 0.
    """

    name: ClassVar[str] = "community_popularity"

    def __init__(self, *, resolution: float = 1.0) -> None:
        """A larger `resolution` makes more and smaller communities."""
        if not resolution > 0:
            raise ValueError(f"resolution must be above 0, not {resolution}")
        self.resolution = resolution
        self._popularity_I: FloatArray = np.zeros(0, dtype=np.float32)
        self._member_IC = sp.csr_array((0, 0), dtype=np.float32)
        self._share_UC = sp.csr_array((0, 0), dtype=np.float32)

    def fit(self, inputs: ModelInputs, *, rng: np.random.Generator) -> Self:
        """Cut the graph; `rng` starts the cut."""
        labels = communities_of(inputs.graph, resolution=self.resolution, seed=int(rng.integers(2**31)))
        self._member_IC = membership(labels["item"])
        self._popularity_I = Popularity().fit(inputs, rng=rng).item_scores
        self._share_UC = self._shares(inputs.histories)
        return self

    def score(self, user_index: IntArray) -> FloatArray:
        """Popularity in the user's communities, shape [B, I]."""
        require_known_users(user_index, num_users=self._share_UC.shape[0])
        return self._liked_there(self._share_UC[user_index])

    def fold_in(self, histories: Histories) -> FloatArray:
        """As `score`, for new users, shape [B, I]."""
        require_same_items(histories, num_items=len(self._popularity_I))
        return self._liked_there(self._shares(histories))

    def _liked_there(self, share_BC: sp.csr_array) -> FloatArray:
        scores_BI = np.zeros((share_BC.shape[0], len(self._popularity_I)), dtype=np.float32)
        # An item is of one community at most.
        placed = np.flatnonzero(np.diff(self._member_IC.indptr))
        scores_BI[:, placed] = share_BC.toarray()[:, self._member_IC.indices] * self._popularity_I[placed]
        return scores_BI

    def _shares(self, histories: Histories) -> sp.csr_array:
        return community_shares(histories, member_IC=self._member_IC)

    def save(self, directory: Path) -> None:
        """Write popularity, members and shares."""
        arrays = sparse_to_arrays(self._member_IC, prefix="member") | sparse_to_arrays(self._share_UC, prefix="share")
        arrays |= {"popularity": self._popularity_I}
        save_model(directory, name=self.name, parameters={"resolution": self.resolution}, arrays=arrays)

    @classmethod
    def load(cls, directory: Path) -> Self:
        """The model that `save` wrote."""
        parameters, arrays = load_model(directory, name=cls.name)
        model = cls(resolution=float(parameters["resolution"]))
        model._member_IC = sparse_from_arrays(arrays, prefix="member")
        model._share_UC = sparse_from_arrays(arrays, prefix="share")
        model._popularity_I = arrays["popularity"].astype(np.float32, copy=False)
        return model


def membership(label_I: IntArray) -> sp.csr_array:
    """1 where an item is in a community, none where its label is -1, float32 [I, C]."""
    placed = np.flatnonzero(label_I >= 0)
    shape = (len(label_I), int(label_I.max(initial=-1)) + 1)
    return sp.csr_array((np.ones(len(placed), dtype=np.float32), (placed, label_I[placed])), shape=shape)


def community_shares(histories: Histories, *, member_IC: sp.csr_array) -> sp.csr_array:
    """How a user's faded likes divide among communities, rows of sum 1, or empty, float32 [B, C]."""
    weight_BC = sp.csr_array(histories.positives_UI.astype(np.float64) @ member_IC)
    row_E = np.repeat(np.arange(len(histories)), np.diff(weight_BC.indptr))
    total_B = np.bincount(row_E, weights=weight_BC.data, minlength=len(histories)).astype(np.float64)
    inverse_B = np.divide(1.0, total_B, out=np.zeros_like(total_B), where=total_B > 0)
    share_E = (inverse_B[row_E] * weight_BC.data).astype(np.float32)
    return sp.csr_array((share_E, weight_BC.indices, weight_BC.indptr), shape=weight_BC.shape)
