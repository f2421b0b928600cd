"""The contract of every recommender. Shapes: B batch of users, I items.

`fit` learns from `ModelInputs`, `score` and `fold_in` return a dense block, `save` and `load`
round-trip through a directory of safetensors and JSON. Ranking (seen items out,
ties, blocks) is not a model's business: `recommend` ranks for any.
"""

from pathlib import Path
from typing import ClassVar, Protocol, Self

import numpy as np
import scipy.sparse as sp

from ml.errors import UnknownIdError
from ml.ids import FloatArray, IntArray
from ml.models.histories import Histories
from ml.models.inputs import ModelInputs
from ml.top_n import top_n


class Recommender(Protocol):
    """A model that scores every item for a user."""

    name: ClassVar[str]

    def fit(self, inputs: ModelInputs, *, rng: np.random.Generator) -> Self:
        """Learn; returns itself. The same inputs and rng give the same model."""
        ...

    def score(self, user_index: IntArray) -> FloatArray:
        """Finite scores of every item for users known at fit, shape [B, I].

        Raises `UnknownIdError` for positions outside the users of fit. A model that has nothing
        to say about a user gives every item the same score.
        """
        ...

    def fold_in(self, histories: Histories) -> FloatArray:
        """Finite scores of every item for users who were not there at fit, from what they like, shape [B, I].

        Nothing is trained. A user of fit with the history of fit is scored as by `score`, up to rounding, unless the model
        learns something of each user: then nearly.
        Raises `ValueError` for histories over other items.
        """
        ...

    def save(self, directory: Path) -> None:
        """Write what `load` needs, safetensors and JSON only."""
        ...

    @classmethod
    def load(cls, directory: Path) -> Self:
        """The model that `save` wrote; scores are equal bit by bit."""
        ...


def require_known_users(user_index: IntArray, *, num_users: int) -> None:
    """Raise `UnknownIdError` for positions that were no user at fit.

    Every `score` calls it first: numpy would answer -1, the mark of an unknown id, with the last user's scores.
    """
    unknown = user_index[(user_index < 0) | (user_index >= num_users)]
    if len(unknown):
        raise UnknownIdError("user position", [str(position) for position in unknown])


def require_same_items(histories: Histories, *, num_items: int) -> None:
    """Raise `ValueError` for histories over another catalogue than that of fit; every `fold_in` calls it first."""
    if histories.positives_UI.shape[1] != num_items:
        raise ValueError(f"the histories are over {histories.positives_UI.shape[1]} items, the model knows {num_items}; use its vocabulary")


def recommend(
    model: Recommender, *, user_index: IntArray, met_UI: sp.csr_array, k: int, block_size: int = 256
) -> tuple[IntArray, FloatArray]:
    """The `k` best items of each user of fit that they have not met, best first, and their scores, each [B, k].

    As `ml.top_n.top_n`, which says how ties go and what is left where items run out.
    """
    return top_n(model.score, user_index=user_index, excluded_UI=met_UI, k=k, block_size=block_size)
