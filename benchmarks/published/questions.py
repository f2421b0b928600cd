"""What a model is fitted on and then asked: on a validation part as often as wished, on the test once.

`rehearsal` withholds answers from train (or takes the split's own validation part) and is what settings are
chosen by. `final` alone reads a split's test pairs; only `benchmarks.quality` calls it, after all choices.
Shapes: U users, T users asked, I items, K list length.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import scipy.sparse as sp

from benchmarks.published.protocols import Protocol
from benchmarks.published.split import PublishedSplit, ages_of
from ml.errors import KnownAnswersError
from ml.evaluation.metrics import MetricArray
from ml.evaluation.rankings import Scorer, popularity_order, rank_items
from ml.graph.interest_graph import InterestGraph
from ml.ids import BoolArray, IntArray, Vocabulary
from ml.models.inputs import ModelInputs

# Share of each user's train items withheld where a split has no validation part of its own.
WITHHELD_SHARE = 0.2
# The splits carry no clock; any instant does.
_AS_OF = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Question:
    """Pairs a model may know, and the pairs it is to find, float32 [U, I]; `user_index` are those asked, shape [T].

    `age_UI` says how many items ago each known pair was, from 1, where a split has an order; models read it as days.
    """

    known_UI: sp.csr_array
    answer_UI: sp.csr_array
    user_index: IntArray
    age_UI: sp.csr_array | None = None

    @property
    def inputs(self) -> ModelInputs:
        """The known pairs as every recommender takes them; no text, no graph."""
        num_users, num_items = self.known_UI.shape
        users, items = _positions("user", num_users), _positions("item", num_items)
        return ModelInputs(
            as_of=_AS_OF,
            users=users,
            items=items,
            positives_UI=self.known_UI,
            seen_UI=self.known_UI,
            text_ID=np.zeros((num_items, 0), dtype=np.float32),
            graph=InterestGraph({"user": users, "item": items}, {}),
            age_UI=self.age_UI,
        )

    def put_to(self, model: Scorer, *, protocol: Protocol) -> dict[str, MetricArray]:
        """The protocol's figures of every user asked, each shape [T].

        Every item but the known ones is ranked, equal scores by popularity. An answer that is known (a
        repetition) is therefore a miss.
        """
        order_I = popularity_order(np.asarray(self.known_UI.sum(axis=0), dtype=np.float32))
        ranking = rank_items(model, inputs=self.inputs, user_index=self.user_index, item_order=order_I, k=protocol.list_length)
        answer_TI = self.answer_UI[self.user_index]
        return protocol.measure(_hits(ranking.items_TK, answer_TI), num_relevant_U=np.diff(answer_TI.indptr))


def rehearsal(split: PublishedSplit, *, num_users: int | None = None, rng: np.random.Generator) -> Question:
    """Train against the split's validation part, or against a share of every user's train items drawn by `rng`."""
    if split.validation_UI is not None:
        known_UI, answer_UI = split.train_UI, split.validation_UI
    else:
        known_UI, answer_UI = withhold(split.train_UI, share=WITHHELD_SHARE, rng=rng)
    return _question(known_UI, answer_UI, history=split.history, num_users=num_users, rng=rng)


def final(split: PublishedSplit, *, num_users: int | None = None, rng: np.random.Generator) -> Question:
    """Everything before the test, the validation part too, against the test: for the last run, with settings that are settled.

    `num_users` asks a sample drawn by `rng`; None everybody who has an answer.
    """
    known_UI = split.train_UI if split.validation_UI is None else sp.csr_array(split.train_UI.maximum(split.validation_UI))
    return _question(known_UI, split.test_UI, history=_with_validation(split), num_users=num_users, rng=rng)


def withhold(known_UI: sp.csr_array, *, share: float, rng: np.random.Generator) -> tuple[sp.csr_array, sp.csr_array]:
    """Two parts of the pairs: withheld, of each user's items `share`, rounded up but never all, drawn by `rng`; kept, the others.

    Rounded as NGCF's splits were (`int(0.8 * items)` are train): who has eight items is asked for two, not for one.
    """
    count_U = np.diff(known_UI.indptr)
    user_E = np.repeat(np.arange(len(count_U)), count_U)
    # Rows are contiguous, so sorting by user and chance deals each user's items anew within their own range.
    dealt_E = np.lexsort((rng.random(known_UI.nnz), user_E))
    place_E = np.empty(known_UI.nnz, dtype=np.int64)
    place_E[dealt_E] = np.arange(known_UI.nnz) - known_UI.indptr[user_E]
    num_kept_U = np.maximum(np.floor((1.0 - share) * count_U), np.minimum(count_U, 1))
    is_withheld_E = place_E < (count_U - num_kept_U)[user_E]
    return _chosen(known_UI, user_E, ~is_withheld_E), _chosen(known_UI, user_E, is_withheld_E)


def _chosen(pairs_UI: sp.csr_array, user_E: IntArray, chosen_E: BoolArray) -> sp.csr_array:
    entries = (pairs_UI.data[chosen_E], (user_E[chosen_E], pairs_UI.indices[chosen_E]))
    return sp.csr_array(entries, shape=pairs_UI.shape)


def _with_validation(split: PublishedSplit) -> tuple[IntArray, ...] | None:
    if split.history is None or split.validation_UI is None:
        return split.history
    asked = split.validation_UI
    return tuple(
        np.append(items, asked.indices[asked.indptr[user] : asked.indptr[user + 1]]).astype(np.int64)
        for user, items in enumerate(split.history)
    )


def _question(
    known_UI: sp.csr_array,
    answer_UI: sp.csr_array,
    *,
    history: tuple[IntArray, ...] | None,
    num_users: int | None,
    rng: np.random.Generator,
) -> Question:
    if history is None and known_UI.multiply(answer_UI).nnz:
        # Sequences may come back to an item, which then counts as a miss; a set must not be asked for what is known.
        raise KnownAnswersError("the known pairs", num_pairs=int(known_UI.multiply(answer_UI).nnz))
    user_index = np.flatnonzero(np.diff(answer_UI.indptr)).astype(np.int64)
    if num_users is not None and len(user_index) > num_users:
        user_index = np.sort(rng.choice(user_index, num_users, replace=False))
    return Question(known_UI, answer_UI, user_index, None if history is None else ages_of(history, num_items=known_UI.shape[1]))


def _hits(items_TK: IntArray, answer_TI: sp.csr_array) -> BoolArray:
    num_items = answer_TI.shape[1]
    row_E, item_E = answer_TI.nonzero()
    shown_TK = np.arange(len(items_TK))[:, None] * num_items + items_TK
    return np.isin(shown_TK, row_E.astype(np.int64) * num_items + item_E) & (items_TK >= 0)


def _positions(kind: str, count: int) -> Vocabulary:
    """Ids that sort as their positions do."""
    return Vocabulary(kind, [f"{position:09d}" for position in range(count)])
