"""What is asked of every model alike: who is tested, what counts as right, what is known from training.

Prepared once per evaluation; `harness` puts each model through it. Shapes: T test users,
I items, K list length, E relevant pairs.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from ml.config.pipeline import EvaluationConfig
from ml.errors import EvaluationError
from ml.evaluation.leaks import require_unknown_answers
from ml.evaluation.lists import mean_over_history, mean_over_lists, popularity_percentile, self_information
from ml.evaluation.metrics import MetricArray, accuracy
from ml.evaluation.rankings import popularity_order
from ml.evaluation.segments import Segment, num_likes, segments
from ml.evaluation.truth import Truth
from ml.ids import BoolArray, IntArray
from ml.models.inputs import ModelInputs
from ml.models.popularity import Popularity


@dataclass(frozen=True)
class Exam:
    """The test users and their relevant items, and the items as training knew them.

    `relevant_key` holds test row x items + item position of every relevant pair, ascending;
    `item_order` is the order of equal scores, most popular first.
    """

    user_index: IntArray
    item_order: IntArray
    groups: tuple[Segment, ...]
    relevant_key: IntArray
    num_items: int
    information_I: MetricArray
    percentile_I: MetricArray
    history_percentile_T: MetricArray

    @classmethod
    def prepare(cls, *, inputs: ModelInputs, truth: Truth, config: EvaluationConfig) -> Self:
        """Choose the test users (`max_test_users` of them, by seed); raises `EvaluationError` where there is none.

        Raises `KnownAnswersError` where the inputs hold an answer.
        """
        require_unknown_answers(inputs, relevant_UI=truth.relevant_UI)
        user_index = _test_users(truth, config=config)
        popularity = Popularity().fit(inputs, rng=np.random.default_rng(config.seed))
        likes_I = num_likes(inputs)
        percentile_I = popularity_percentile(likes_I)
        row_E, item_E = truth.relevant_UI[user_index].nonzero()
        return cls(
            user_index=user_index,
            item_order=popularity_order(popularity.item_scores),
            groups=segments(inputs, user_index=user_index, cold_user_interactions=config.cold_user_interactions),
            relevant_key=row_E.astype(np.int64) * len(inputs.items) + item_E,
            num_items=len(inputs.items),
            information_I=self_information(likes_I, num_users=len(inputs.users)),
            percentile_I=percentile_I,
            history_percentile_T=mean_over_history(percentile_I, inputs.positives_UI[user_index]),
        )

    def measure(self, items_TK: IntArray, group: Segment, *, config: EvaluationConfig) -> dict[str, MetricArray]:
        """Accuracy of the segment's users, each shape [T of the segment]."""
        key_E = self.relevant_key
        if group.items_I is not None:
            key_E = key_E[group.items_I[key_E % self.num_items]]
        num_relevant_T = np.bincount(key_E // self.num_items, minlength=len(self.user_index))
        measured_T = group.users_T & (num_relevant_T > 0)
        hits_TK = self._hits(items_TK, key_E)
        return accuracy(hits_TK[measured_T], num_relevant_U=num_relevant_T[measured_T], cutoffs=config.cutoffs)

    def _hits(self, items_TK: IntArray, key_E: IntArray) -> BoolArray:
        shown_key_TK = np.arange(len(items_TK))[:, None] * self.num_items + items_TK
        return np.isin(shown_key_TK, key_E) & (items_TK >= 0)

    def describe(self, items_TK: IntArray, *, config: EvaluationConfig) -> dict[str, MetricArray]:
        """Novelty and popularity bias of each list, shape [T]; bias is NaN for users without a like."""
        figures = {}
        for k in config.cutoffs:
            figures[f"novelty@{k}"] = mean_over_lists(self.information_I, items_TK[:, :k])
            figures[f"popularity_bias@{k}"] = mean_over_lists(self.percentile_I, items_TK[:, :k]) - self.history_percentile_T
        return figures


def _test_users(truth: Truth, *, config: EvaluationConfig) -> IntArray:
    user_index = truth.user_index
    if len(user_index) == 0:
        raise EvaluationError(
            f"no user known before the cut likes anything new after it ({truth.num_unknown_users} unknown user(s) do); "
            "a longer history or a larger evaluation.test_share is needed"
        )
    if len(user_index) > config.max_test_users:
        rng = np.random.default_rng(config.seed)
        user_index = np.sort(rng.choice(user_index, config.max_test_users, replace=False))
    return user_index
