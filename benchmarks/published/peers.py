"""Other people's recommenders as their users run them: with the settings they ship with, on the pairs we learn from.

Each has `fit` and `score` like ours, so that one harness asks all; nothing of theirs is changed. Shapes: B batch of
users, U users, I items, D factors.
"""

import os
from typing import Any, ClassVar, Self

# implicit asks for it: BLAS threads inside its own threads wait for each other.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import scipy.sparse as sp

from ml.ids import FloatArray, IntArray
from ml.models.inputs import ModelInputs

NUM_THREADS = 1


class Factors:
    """A peer whose scores are products of user and item factors, what it adds to them included."""

    name: ClassVar[str]

    def __init__(self) -> None:
        self._users_UD: FloatArray = np.zeros((0, 0), dtype=np.float32)
        self._items_ID: FloatArray = np.zeros((0, 0), dtype=np.float32)

    def fit(self, inputs: ModelInputs, *, rng: np.random.Generator) -> Self:
        """Train it on 1 where a user likes an item."""
        users, items = self._train(inputs.histories.liked_UI, seed=int(rng.integers(2**31)))
        self._users_UD, self._items_ID = np.asarray(users, dtype=np.float32), np.asarray(items, dtype=np.float32)
        return self

    def score(self, user_index: IntArray) -> FloatArray:
        """Products, shape [B, I]."""
        return self._users_UD[user_index] @ self._items_ID.T

    def _train(self, liked_UI: sp.csr_array, *, seed: int) -> tuple[FloatArray, FloatArray]:
        raise NotImplementedError


class Implicit(Factors):
    """A model of `implicit`: all of them are trained, and give their factors, in the same way."""

    def _train(self, liked_UI: sp.csr_array, *, seed: int) -> tuple[FloatArray, FloatArray]:
        model = self._model(random_state=seed, num_threads=NUM_THREADS)
        model.fit(sp.csr_matrix(liked_UI), show_progress=False)
        return model.user_factors, model.item_factors

    def _model(self, **settings: int) -> Any:
        raise NotImplementedError


class ImplicitALS(Implicit):
    """`implicit.als.AlternatingLeastSquares` as it comes: 100 factors, 15 iterations."""

    name: ClassVar[str] = "implicit ALS"

    def _model(self, **settings: int) -> Any:
        from implicit.cpu.als import AlternatingLeastSquares  # noqa: PLC0415  (after the thread settings above)

        return AlternatingLeastSquares(**settings)


class ImplicitBPR(Implicit):
    """`implicit.bpr.BayesianPersonalizedRanking` as it comes: 100 factors, 100 iterations; the last factor is the item's bias."""

    name: ClassVar[str] = "implicit BPR"

    def _model(self, **settings: int) -> Any:
        from implicit.cpu.bpr import BayesianPersonalizedRanking  # noqa: PLC0415  (after the thread settings above)

        return BayesianPersonalizedRanking(**settings)


class CornacBPR(Factors):
    """`cornac.models.BPR` as it comes but for its 10 factors, here 100 as implicit has: 100 iterations."""

    name: ClassVar[str] = "cornac BPR"

    def _train(self, liked_UI: sp.csr_array, *, seed: int) -> tuple[FloatArray, FloatArray]:
        from cornac.data import Dataset  # noqa: PLC0415  (seconds to import)
        from cornac.models import BPR  # noqa: PLC0415

        pairs = liked_UI.tocoo()
        user_E, item_E = (index.astype(np.int64) for index in pairs.coords)
        # Its own numbering is by first appearance; pairs of no weight beyond the likes must not be invented, so it is undone.
        data = Dataset.from_uir(zip(user_E.tolist(), item_E.tolist(), pairs.data.tolist(), strict=True), seed=seed)
        model = BPR(k=100, num_threads=NUM_THREADS, seed=seed).fit(data)
        users_UD, items_ID = (np.zeros((count, 101), dtype=np.float32) for count in liked_UI.shape)
        user_index, item_index = np.array(list(data.uid_map)), np.array(list(data.iid_map))
        users_UD[user_index] = np.column_stack([model.u_factors, np.ones(len(user_index))])
        items_ID[item_index] = np.column_stack([model.i_factors, model.i_biases])
        return users_UD, items_ID


PEERS: tuple[type[Factors], ...] = (ImplicitALS, ImplicitBPR, CornacBPR)
