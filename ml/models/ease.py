"""EASE: the closed-form item-item autoencoder.

Steck, "Embarrassingly shallow autoencoders for sparse data", WWW 2019.
Shapes: B batch of users, U users, I items, J items the weights cover.
"""

from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from scipy.linalg import lapack

from ml.ids import FloatArray, IntArray
from ml.models.few_items import product
from ml.models.histories import Histories, Recency
from ml.models.inputs import ModelInputs
from ml.models.recommender import require_known_users, require_same_items
from ml.models.storage import load_model, save_model, sparse_from_arrays, sparse_to_arrays

_BLOCK_SIZE = 1024


class EASE:
    """Ridge regression of every item's column on all others, its own weight held at 0.

    The weights are dense: 12 bytes x J^2 at the peak (1.2 GB at 10,000 items). Items nobody
    likes have weights of exactly 0 and cost nothing. Above `max_items` liked items, the
    least liked are treated the same way: they score 0 for everyone and count as nobody's
    history; `num_items_left_out` says how many.
    """

    name: ClassVar[str] = "ease"

    def __init__(self, *, regularization: float = 200.0, max_items: int = 10_000, recency: Recency | None = None) -> None:
        """`regularization` is the paper's lambda, in units of users; `max_items` bounds J; `recency` weighs likes in scores alone."""
        if regularization <= 0 or max_items < 1:
            raise ValueError(f"regularization must be above 0 and max_items at least 1, not {regularization} and {max_items}")
        self.regularization = regularization
        self.max_items = max_items
        self.recency = recency
        self.num_items_left_out = 0
        self._item_index_J: IntArray = np.zeros(0, dtype=np.int64)
        self._num_items = 0
        self._weighted_UJ = sp.csr_array((0, 0), dtype=np.float32)
        self._weights_JJ: FloatArray = np.zeros((0, 0), dtype=np.float32)

    def fit(self, inputs: ModelInputs, *, rng: np.random.Generator) -> Self:  # noqa: ARG002
        """Solve for the weights; `rng` is not needed."""
        liked_UI = inputs.histories.liked_UI
        self._num_items = liked_UI.shape[1]
        self._item_index_J, self.num_items_left_out = _most_liked(liked_UI, max_items=self.max_items)
        self._weighted_UJ = sp.csr_array(inputs.histories.weighted(self.recency)[:, self._item_index_J])
        self._weights_JJ = _solve(
            sp.csr_array(liked_UI[:, self._item_index_J]),
            credible_UJ=sp.csr_array(inputs.credible_UI[:, self._item_index_J]),
            regularization=self.regularization,
        )
        return self

    def score(self, user_index: IntArray) -> FloatArray:
        """The user's liked items times the weights, shape [B, I]; 0 for items outside them."""
        require_known_users(user_index, num_users=self._weighted_UJ.shape[0])
        return self._predict(self._weighted_UJ[user_index])

    def fold_in(self, histories: Histories) -> FloatArray:
        """As `score`, for new users, shape [B, I]."""
        require_same_items(histories, num_items=self._num_items)
        return self._predict(sp.csr_array(histories.weighted(self.recency)[:, self._item_index_J]))

    def _predict(self, weighted_BJ: sp.csr_array) -> FloatArray:
        scores_BI = np.zeros((weighted_BJ.shape[0], self._num_items), dtype=np.float32)
        scores_BI[:, self._item_index_J] = product(weighted_BJ, self._weights_JJ)
        return scores_BI

    def save(self, directory: Path) -> None:
        """Write histories and weights."""
        parameters = {
            "regularization": self.regularization,
            "max_items": self.max_items,
            "num_items": self._num_items,
            "num_items_left_out": self.num_items_left_out,
        } | Recency.to_parameters(self.recency)
        arrays = sparse_to_arrays(self._weighted_UJ, prefix="weighted")
        arrays |= {"item_index": self._item_index_J, "weights": self._weights_JJ}
        save_model(directory, name=self.name, parameters=parameters, arrays=arrays)

    @classmethod
    def load(cls, directory: Path) -> Self:
        """The model that `save` wrote."""
        parameters, arrays = load_model(directory, name=cls.name)
        model = cls(
            regularization=float(parameters["regularization"]),
            max_items=int(parameters["max_items"]),
            recency=Recency.from_parameters(parameters),
        )
        model._num_items = int(parameters["num_items"])
        model.num_items_left_out = int(parameters["num_items_left_out"])
        model._item_index_J = arrays["item_index"].astype(np.int64, copy=False)
        model._weights_JJ = arrays["weights"].astype(np.float32, copy=False)
        model._weighted_UJ = sparse_from_arrays(arrays, prefix="weighted")
        return model


def _most_liked(liked_UI: sp.csr_array, *, max_items: int) -> tuple[IntArray, int]:
    """Positions of at most `max_items` liked items, ascending, and how many liked items are left out."""
    likes_I = np.asarray(liked_UI.sum(axis=0))
    by_likes = np.argsort(-likes_I, kind="stable")
    num_liked = int(np.count_nonzero(likes_I))
    kept = np.sort(by_likes[: min(num_liked, max_items)]).astype(np.int64)
    return kept, num_liked - len(kept)


def _solve(liked_UJ: sp.csr_array, *, credible_UJ: sp.csr_array, regularization: float) -> FloatArray:
    """Steck's equation 8: B = I - P / diag(P) with P = (X^T C X + lambda I)^-1, C the users' credibility, shape [J, J], diagonal 0."""
    num_items = liked_UJ.shape[1]
    if num_items == 0:
        return np.zeros((0, 0), dtype=np.float32)
    gram_JJ = np.empty((num_items, num_items), dtype=np.float64, order="F")
    liked_JU = sp.csr_array(liked_UJ.T)
    for start in range(0, num_items, _BLOCK_SIZE):
        block = slice(start, start + _BLOCK_SIZE)
        gram_JJ[:, block] = (liked_JU @ credible_UJ[:, block]).toarray()
    gram_JJ[np.diag_indices(num_items)] += regularization
    inverse_JJ = _invert_in_place(gram_JJ)
    weights_JJ = np.empty((num_items, num_items), dtype=np.float32)
    np.divide(inverse_JJ, -np.diag(inverse_JJ), out=weights_JJ, casting="same_kind")
    np.fill_diagonal(weights_JJ, 0.0)
    return weights_JJ


def _invert_in_place(matrix_JJ: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Inverse of a symmetric positive definite matrix by Cholesky, in the matrix's own memory."""
    factor_JJ, failed = lapack.dpotrf(matrix_JJ, lower=1, overwrite_a=1)
    if failed:
        raise np.linalg.LinAlgError(f"leading minor {failed} is not positive: the matrix holds what no Gram matrix plus a diagonal can")
    inverse_JJ: npt.NDArray[np.float64] = lapack.dpotri(factor_JJ, lower=1, overwrite_c=1)[0]
    # LAPACK fills the lower triangle only; mirrored in blocks, a whole transposed copy would double the memory.
    for start in range(0, len(inverse_JJ), _BLOCK_SIZE):
        stop = start + _BLOCK_SIZE
        inverse_JJ[start:stop, stop:] = inverse_JJ[stop:, start:stop].T
        square = inverse_JJ[start:stop, start:stop]
        inverse_JJ[start:stop, start:stop] = np.tril(square) + np.tril(square, -1).T
    return inverse_JJ
