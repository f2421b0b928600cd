"""iALS: matrix factorisation of likes where everything not liked counts a little as not wanted, by alternating least squares.

Hu, Koren & Volinsky, "Collaborative filtering for implicit feedback datasets", ICDM 2008, as Rendle et al.
tuned it in "Revisiting the performance of iALS on item recommendation benchmarks", RecSys 2022. The solves
are `least_squares`'. Shapes: B batch of users, U users, I items, D embedding size.
"""

from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import scipy.sparse as sp

from ml.ids import FloatArray, IntArray
from ml.models.histories import Histories
from ml.models.inputs import ModelInputs
from ml.models.least_squares import Ridge, solve_rows
from ml.models.recommender import require_known_users, require_same_items
from ml.models.storage import load_model, save_model

# Standard deviation of a starting score, as in Rendle et al.
_START_SCALE = 0.1


class IALS:
    """Score `w_u . h_i`, the vectors being an alternating minimum of a weighted squared error with a ridge.

    `sum_liked (1 - w_u . h_i)^2 + a sum_all (w_u . h_i)^2 + l (sum_u n_u^v |w_u|^2 + sum_i n_i^v |h_i|^2)`
    with a the `unobserved_weight`, l the `regularization`, v the `frequency_power`, and the frequencies
    n_u = likes of u + a x items, n_i = likes of i + a x users. A user counts by their credibility for
    the items; their own vector does not depend on it. It is solved last, against the final items,
    as that of a newcomer is. Small a suits large catalogues: the ridge grows with a x items.
    """

    name: ClassVar[str] = "ials"

    def __init__(
        self,
        *,
        embedding_size: int = 64,
        epochs: int = 16,
        regularization: float = 0.003,
        unobserved_weight: float = 0.01,
        frequency_power: float = 1.0,
    ) -> None:
        """`regularization` per like at power 1; `unobserved_weight` relative to a like's; an epoch solves for all users and all items."""
        if embedding_size < 1 or epochs < 1 or frequency_power < 0:
            raise ValueError(
                "embedding_size and epochs must be at least 1 and frequency_power at least 0, "
                f"not {embedding_size}, {epochs} and {frequency_power}"
            )
        if regularization <= 0 or unobserved_weight <= 0:
            raise ValueError(f"regularization and unobserved_weight must be above 0, not {regularization} and {unobserved_weight}")
        self.embedding_size = embedding_size
        self.epochs = epochs
        self.regularization = regularization
        self.unobserved_weight = unobserved_weight
        self.frequency_power = frequency_power
        self._user_vectors_UD: FloatArray = np.zeros((0, embedding_size), dtype=np.float32)
        self._item_vectors_ID: FloatArray = np.zeros((0, embedding_size), dtype=np.float32)

    @property
    def item_vectors(self) -> FloatArray:
        """0 for items nobody likes, shape [I, D]."""
        return self._item_vectors_ID

    def fit(self, inputs: ModelInputs, *, rng: np.random.Generator) -> Self:
        """Solve for users and items in turn; `rng` draws the items' starting vectors."""
        liked_UI = inputs.histories.liked_UI
        credible_IU = sp.csr_array(inputs.credible_UI.T)
        num_users, num_items = liked_UI.shape
        everybody = np.ones(num_users, dtype=np.float32)
        credibility_U = everybody if inputs.credibility_U is None else inputs.credibility_U
        scale = _START_SCALE / np.sqrt(self.embedding_size)
        items_ID = rng.normal(scale=scale, size=(num_items, self.embedding_size)).astype(np.float32)
        for _ in range(self.epochs):
            users_UD = solve_rows(liked_UI, items_ID, ridge=self._ridge())
            items_ID = solve_rows(credible_IU, users_UD, ridge=self._ridge(), weight_T=credibility_U)
        self._item_vectors_ID = items_ID
        self._user_vectors_UD = self._vectors(liked_UI)
        return self

    def _ridge(self) -> Ridge:
        return Ridge(self.unobserved_weight, self.regularization, self.frequency_power)

    def _vectors(self, liked_BI: sp.csr_array) -> FloatArray:
        """The users' least squares against the items as they are, in double precision, shape [B, D]."""
        return solve_rows(liked_BI, self._item_vectors_ID.astype(np.float64), ridge=self._ridge()).astype(np.float32)

    def score(self, user_index: IntArray) -> FloatArray:
        """Predicted likes, near 1 for what is liked and 0 for what is not, shape [B, I]."""
        require_known_users(user_index, num_users=len(self._user_vectors_UD))
        return self._user_vectors_UD[user_index] @ self._item_vectors_ID.T

    def fold_in(self, histories: Histories) -> FloatArray:
        """As `score`, for new users, whose vectors are solved for now, shape [B, I]."""
        require_same_items(histories, num_items=len(self._item_vectors_ID))
        return self._vectors(histories.liked_UI) @ self._item_vectors_ID.T

    def save(self, directory: Path) -> None:
        """Write vectors and settings."""
        parameters = {
            "embedding_size": self.embedding_size,
            "epochs": self.epochs,
            "regularization": self.regularization,
            "unobserved_weight": self.unobserved_weight,
            "frequency_power": self.frequency_power,
        }
        arrays = {"user_vectors": self._user_vectors_UD, "item_vectors": self._item_vectors_ID}
        save_model(directory, name=self.name, parameters=parameters, arrays=arrays)

    @classmethod
    def load(cls, directory: Path) -> Self:
        """The model that `save` wrote."""
        parameters, arrays = load_model(directory, name=cls.name)
        model = cls(
            embedding_size=int(parameters["embedding_size"]),
            epochs=int(parameters["epochs"]),
            regularization=float(parameters["regularization"]),
            unobserved_weight=float(parameters["unobserved_weight"]),
            frequency_power=float(parameters["frequency_power"]),
        )
        model._user_vectors_UD = arrays["user_vectors"].astype(np.float32, copy=False)
        model._item_vectors_ID = arrays["item_vectors"].astype(np.float32, copy=False)
        return model
