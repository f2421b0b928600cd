"""Content alone: items whose text is like the text of what you liked.

The reference for what the graph adds, and it knows items nobody has met. Shapes: B batch of users, U users, I items, D text dimensions.
"""

from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from ml.ids import FloatArray, IntArray
from ml.models.few_items import product
from ml.models.histories import Histories, Recency
from ml.models.inputs import ModelInputs
from ml.models.recommender import require_known_users, require_same_items
from ml.models.storage import load_model, save_model
from ml.unit_rows import unit_rows


class TextOnly:
    """Cosine between an item's text and the weighted mean text of what the user liked.

    Lops, de Gemmis & Semeraro, "Content-based recommender systems", Recommender Systems
    Handbook, 2011: Rocchio's profile without its negative part.
    """

    name: ClassVar[str] = "text_only"

    def __init__(self, *, recency: Recency | None = None) -> None:
        """With `recency` older likes count by it alone; without, by their weight."""
        self.recency = recency
        self._text_ID: FloatArray = np.zeros((0, 0), dtype=np.float32)
        self._profile_UD: FloatArray = np.zeros((0, 0), dtype=np.float32)

    def fit(self, inputs: ModelInputs, *, rng: np.random.Generator) -> Self:  # noqa: ARG002
        """Average the texts; `rng` is not needed."""
        self._text_ID = unit_rows(inputs.text_ID)
        self._profile_UD = self._profiles(inputs.histories)
        return self

    def score(self, user_index: IntArray) -> FloatArray:
        """Cosines in [-1, 1], 0 where the user liked nothing or the item has no text, shape [B, I]."""
        require_known_users(user_index, num_users=len(self._profile_UD))
        return self._profile_UD[user_index] @ self._text_ID.T

    def fold_in(self, histories: Histories) -> FloatArray:
        """As `score`, for new users, shape [B, I]."""
        require_same_items(histories, num_items=len(self._text_ID))
        return self._profiles(histories) @ self._text_ID.T

    def _profiles(self, histories: Histories) -> FloatArray:
        weight_BI = histories.positives_UI if self.recency is None else histories.weighted(self.recency)
        return unit_rows(product(weight_BI.astype(np.float64), self._text_ID))

    def save(self, directory: Path) -> None:
        """Write item texts' and users' vectors."""
        save_model(
            directory,
            name=self.name,
            parameters=Recency.to_parameters(self.recency),
            arrays={"text": self._text_ID, "profile": self._profile_UD},
        )

    @classmethod
    def load(cls, directory: Path) -> Self:
        """The model that `save` wrote."""
        parameters, arrays = load_model(directory, name=cls.name)
        model = cls(recency=Recency.from_parameters(parameters))
        model._text_ID = arrays["text"].astype(np.float32, copy=False)
        model._profile_UD = arrays["profile"].astype(np.float32, copy=False)
        return model
