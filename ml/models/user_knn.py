"""User-based nearest neighbours: what people with your history like.

Resnick et al., "GroupLens", CSCW 1994, and Herlocker et al., "An algorithmic framework for performing
collaborative filtering", SIGIR 1999, for likes instead of ratings. Shapes: B batch of users, U users, I items.
"""

from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import scipy.sparse as sp

from ml.ids import FloatArray, IntArray
from ml.models.histories import Histories
from ml.models.inputs import ModelInputs
from ml.models.recommender import require_known_users, require_same_items
from ml.models.storage import load_model, save_model, sparse_from_arrays, sparse_to_arrays
from ml.ranking.sparse_rows import unit_rows
from ml.top_n import top_n

# Similarities held at once: 64 MiB.
_BLOCK_CELLS = 2**24


class UserKNN:
    """Shrunk cosine of user rows; an item's score is the similarity of the nearest users who like it, summed.

    With ratings, the classic prediction is `mean_u + sum_v sim(u, v) (r_vi - mean_v) / sum_v |sim(u, v)|`. Likes
    have no rating to centre, and dividing by the similarities would put an item that one faint neighbour likes
    level with one that all neighbours like; how many neighbours like it is the evidence, so the sum stays.
    A neighbour's similarity counts times their credibility. Everybody is a neighbour of their own, which
    speaks for nothing new; so a user of fit and a newcomer with the same history are scored alike.
    """

    name: ClassVar[str] = "user_knn"

    def __init__(self, *, num_neighbors: int = 100, shrinkage: float = 0.0, weighted: bool = False) -> None:
        """`num_neighbors` per user, themselves included; `shrinkage` in shared likes; `weighted` compares faded likes, else all count 1."""
        if num_neighbors < 1 or shrinkage < 0:
            raise ValueError(f"num_neighbors must be at least 1 and shrinkage at least 0, not {num_neighbors} and {shrinkage}")
        self.num_neighbors = num_neighbors
        self.shrinkage = shrinkage
        self.weighted = weighted
        self._positives_UI = sp.csr_array((0, 0), dtype=np.float32)
        self._credibility_U: FloatArray = np.zeros(0, dtype=np.float32)

    def fit(self, inputs: ModelInputs, *, rng: np.random.Generator) -> Self:  # noqa: ARG002
        """Keep the histories: neighbours are found when asked for; `rng` is not needed."""
        self._positives_UI = sp.csr_array(inputs.positives_UI, dtype=np.float32)
        everybody = np.ones(len(inputs.users), dtype=np.float32)
        self._credibility_U = everybody if inputs.credibility_U is None else inputs.credibility_U.astype(np.float32)
        return self

    def score(self, user_index: IntArray) -> FloatArray:
        """Summed similarity of the neighbours who like an item, 0 where none does, shape [B, I]."""
        require_known_users(user_index, num_users=self._positives_UI.shape[0])
        return self._votes(Histories(self._positives_UI[user_index]))

    def fold_in(self, histories: Histories) -> FloatArray:
        """As `score`, for new users, whose neighbours are found now, shape [B, I]."""
        require_same_items(histories, num_items=self._positives_UI.shape[1])
        return self._votes(histories)

    def _votes(self, asked: Histories) -> FloatArray:
        known = Histories(self._positives_UI)
        neighbors_BU = nearest_users(asked, among=known, num_neighbors=self.num_neighbors, shrinkage=self.shrinkage, weighted=self.weighted)
        votes_BU = sp.csr_array(neighbors_BU @ sp.diags_array(self._credibility_U), dtype=np.float32)
        scores_BI: FloatArray = (votes_BU @ known.liked_UI).toarray()
        return scores_BI

    def save(self, directory: Path) -> None:
        """Write histories and credibility."""
        parameters = {"num_neighbors": self.num_neighbors, "shrinkage": self.shrinkage, "weighted": self.weighted}
        arrays = sparse_to_arrays(self._positives_UI, prefix="positives") | {"credibility": self._credibility_U}
        save_model(directory, name=self.name, parameters=parameters, arrays=arrays)

    @classmethod
    def load(cls, directory: Path) -> Self:
        """The model that `save` wrote."""
        parameters, arrays = load_model(directory, name=cls.name)
        model = cls(
            num_neighbors=int(parameters["num_neighbors"]),
            shrinkage=float(parameters["shrinkage"]),
            weighted=bool(parameters["weighted"]),
        )
        model._positives_UI = sparse_from_arrays(arrays, prefix="positives")
        model._credibility_U = arrays["credibility"].astype(np.float32, copy=False)
        return model


def nearest_users(asked: Histories, *, among: Histories, num_neighbors: int, shrinkage: float, weighted: bool = False) -> sp.csr_array:
    """Row b holds the users of `among` most similar to b and how similar they are, shape [B, U].

    `cosine x shared / (shared + shrinkage)`, shared being the number of items both like: what rests on
    few items is doubted (Herlocker's significance weighting, in the smooth form of Bell & Koren, ICDM
    2007). Ties go to the lower position. Memory is bounded: a block of similarities at a time.
    """
    liked_BI, liked_IU = asked.liked_UI, sp.csr_array(among.liked_UI.T)
    unit_BI, unit_IU = (sp.csr_array(rows, dtype=np.float64) for rows in (_unit(asked, weighted), _unit(among, weighted).T))

    def similarity(row_index: IntArray) -> FloatArray:
        shared_BU = liked_BI[row_index] @ liked_IU
        # Both products have the entries of pairs that share an item; a cosine too small for its number type is 0.
        trust_BU = sp.csr_array((shared_BU.data / (shared_BU.data + shrinkage), shared_BU.indices, shared_BU.indptr), shape=shared_BU.shape)
        return np.asarray((unit_BI[row_index] @ unit_IU).multiply(trust_BU).toarray(), dtype=np.float32)

    num_asked, num_users = len(asked), len(among)
    neighbors_BK, similarity_BK = top_n(
        similarity,
        user_index=np.arange(num_asked),
        excluded_UI=sp.csr_array((num_asked, num_users), dtype=np.float32),
        k=num_neighbors,
        block_size=max(_BLOCK_CELLS // max(num_users, 1), 1),
    )
    kept_BK = (neighbors_BK >= 0) & (similarity_BK > 0)
    row_E = np.nonzero(kept_BK)[0]
    found_BU = sp.csr_array((similarity_BK[kept_BK], (row_E, neighbors_BK[kept_BK])), shape=(num_asked, num_users), dtype=np.float32)
    found_BU.sort_indices()
    return found_BU


def _unit(histories: Histories, weighted: bool) -> sp.csr_array:
    """Rows of length 1 in float64: squares of likes faded almost to nothing still count."""
    rows_UI = histories.positives_UI if weighted else histories.liked_UI
    return unit_rows(sp.csr_array(rows_UI, dtype=np.float64))
