"""Models with scripted scores, literal truths, and a way to read the table."""

import numpy as np
import scipy.sparse as sp

from ml.evaluation.harness import Evaluation
from ml.evaluation.truth import Truth


class Fixed:
    """A model with given scores, shape [U, I]."""

    def __init__(self, scores_UI: np.ndarray) -> None:
        self.scores_UI = scores_UI.astype(np.float32)

    def score(self, user_index: np.ndarray) -> np.ndarray:
        return self.scores_UI[user_index]


def truth_of(relevant_UI: np.ndarray, *, num_unknown_users: int = 0) -> Truth:
    return Truth(sp.csr_array(relevant_UI.astype(bool)), num_unknown_users=num_unknown_users, num_unknown_items=0)


def figures(evaluation: Evaluation, *, model: str, segment: str = "all") -> dict[str, float]:
    rows = evaluation.table.to_pylist()
    return {row["metric"]: row["value"] for row in rows if row["model"] == model and row["segment"] == segment}
