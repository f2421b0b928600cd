"""The most liked items for everyone: the baseline a release must beat, and what a cold start falls back to.

Shapes: B batch of users, I items.
"""

from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from ml.ids import FloatArray, IntArray
from ml.models.histories import Histories
from ml.models.inputs import ModelInputs
from ml.models.recommender import require_known_users, require_same_items
from ml.models.storage import load_model, save_model


class Popularity:
    """Sum over users of their time-decayed likes: what many came to like lately.

    A like counts half after every `graph.half_life_days`, so fashions pass. A user's like is
    damped (`ModelInputs.positives_UI`), so that one user's purchases of an item do not outweigh many
    users' views of another.
    """

    name: ClassVar[str] = "popularity"

    def __init__(self) -> None:
        self._num_users = 0
        self._scores_I: FloatArray = np.zeros(0, dtype=np.float32)

    @property
    def item_scores(self) -> FloatArray:
        """How popular each item is, 0 where nobody liked it, shape [I]."""
        return self._scores_I

    def fit(self, inputs: ModelInputs, *, rng: np.random.Generator) -> Self:  # noqa: ARG002
        """Sum the likes; `rng` is not needed."""
        self._num_users = len(inputs.users)
        self._scores_I = np.asarray(inputs.positives_UI.sum(axis=0, dtype=np.float64), dtype=np.float32)
        return self

    def score(self, user_index: IntArray) -> FloatArray:
        """The same scores for every user, shape [B, I]."""
        require_known_users(user_index, num_users=self._num_users)
        return np.tile(self._scores_I, (len(user_index), 1))

    def fold_in(self, histories: Histories) -> FloatArray:
        """The same scores whatever they like, shape [B, I]."""
        require_same_items(histories, num_items=len(self._scores_I))
        return np.tile(self._scores_I, (len(histories), 1))

    def save(self, directory: Path) -> None:
        """Write the item scores."""
        save_model(directory, name=self.name, parameters={"num_users": self._num_users}, arrays={"scores": self._scores_I})

    @classmethod
    def load(cls, directory: Path) -> Self:
        """The model that `save` wrote."""
        parameters, arrays = load_model(directory, name=cls.name)
        model = cls()
        model._num_users = int(parameters["num_users"])
        model._scores_I = arrays["scores"].astype(np.float32, copy=False)
        return model
