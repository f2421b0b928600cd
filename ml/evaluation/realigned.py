"""A model fitted on other users and items, scored on these.

For the live release: the gate measures it on the candidate's test users, though its
vocabularies are older. Shapes: B batch of users, I items.
"""

from datetime import datetime

import numpy as np

from ml.errors import ReleaseError
from ml.ids import FloatArray, IntArray, Vocabulary
from ml.models.inputs import ModelInputs
from ml.models.recommender import Recommender, require_known_users


class Realigned:
    """Scores `inputs`' users and items by a model with its own vocabularies, joined by id.

    Items the model does not know score below its worst. Users it does not know get the
    same score everywhere, like users without history: the harness then ranks by popularity.
    """

    def __init__(
        self, model: Recommender, *, model_users: Vocabulary, model_items: Vocabulary, model_as_of: datetime, inputs: ModelInputs
    ) -> None:
        """Join by id. Raises `ReleaseError` where the model knows events from after the cut of `inputs`."""
        if model_as_of > inputs.as_of:
            raise ReleaseError(
                f"model {model.name} knows events until {model_as_of.isoformat()}, past the cut at {inputs.as_of.isoformat()}: it has seen "
                "answers of this test; compare with a release whose evaluation model is not newer than the cut, or judge without it"
            )
        self._model = model
        self._model_user_U, self._user_known_U = model_users.find(inputs.users.ids)
        self._model_item_I, self._item_known_I = model_items.find(inputs.items.ids)

    def score(self, user_index: IntArray) -> FloatArray:
        """Scores in the vocabularies of `inputs`, shape [B, I]."""
        require_known_users(user_index, num_users=len(self._user_known_U))
        scores_BI = np.zeros((len(user_index), len(self._item_known_I)), dtype=np.float32)
        known_B = self._user_known_U[user_index]
        if known_B.any() and self._item_known_I.any():
            scores_BI[known_B] = self._score_known(self._model_user_U[user_index[known_B]])
        return scores_BI

    def _score_known(self, model_user_index: IntArray) -> FloatArray:
        scores_BJ = self._model.score(model_user_index)
        lowest_B1 = scores_BJ.min(axis=1, keepdims=True)
        below_B1 = lowest_B1 - np.abs(lowest_B1) - 1
        return np.where(self._item_known_I, scores_BJ[:, self._model_item_I], below_B1).astype(np.float32)
