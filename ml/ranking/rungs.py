"""The ladder of answers: personal, interest, popular, each saying whom it can answer for.

A rung has its own users and items, because a release knows those of the day it was
trained on while interests and popularity are of today. Walking the ladder is
`ml.ranking.recommend`. Shapes: U users and I items of a rung, B batch, T interests, D dimension.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
import scipy.sparse as sp

from ml.contracts.spaces import require_same_space, space_of
from ml.contracts.vectors import vectors_to_matrix
from ml.ids import BoolArray, FloatArray, IntArray, Vocabulary
from ml.ranking.sparse_rows import unit_rows
from ml.top_n import Score
from ml.unit_rows import unit_rows as dense_unit_rows

RungName = Literal["personal", "interest", "popular"]


@dataclass(frozen=True)
class Rung:
    """Scores of `items` for those of `users` that `can_answer_U` marks."""

    name: RungName
    users: Vocabulary
    items: Vocabulary
    can_answer_U: BoolArray
    score: Score


def personal_rung(score: Score, *, users: Vocabulary, items: Vocabulary, num_likes_U: IntArray) -> Rung:
    """A release's own scores, for users with at least one like when it was fitted."""
    if num_likes_U.shape != (len(users),):
        raise ValueError(f"num_likes_U has shape {num_likes_U.shape}, expected {(len(users),)}")
    return Rung(name="personal", users=users, items=items, can_answer_U=num_likes_U > 0, score=score)


def popular_rung(users: Vocabulary, *, items: Vocabulary, popularity_I: FloatArray) -> Rung:
    """The same finite scores for everybody, larger is more popular."""
    if popularity_I.shape != (len(items),):
        raise ValueError(f"popularity_I has shape {popularity_I.shape}, expected {(len(items),)}")
    return Rung(
        name="popular",
        users=users,
        items=items,
        can_answer_U=np.ones(len(users), dtype=np.bool_),
        score=lambda user_index: np.tile(popularity_I, (len(user_index), 1)),
    )


def interest_rung(*, item_embeddings: pa.Table, user_text_embeddings: pa.Table, item_interests: pa.Table, user_interests: pa.Table) -> Rung:
    """Nearness of items to a user's interests and own words, for users who have either.

    The score is the mean of the signals a user has: the cosine of interest weights
    (dislikes count against) and the cosine of text vectors. A user with dislikes
    alone is not answered for. Raises `EmbeddingSpaceError` if items' and users'
    vectors are of two spaces.
    """
    _require_one_space(item_embeddings, user_text_embeddings)
    items = Vocabulary("item", item_embeddings.column("item_id"))
    users = Vocabulary(
        "user", pa.chunked_array([*user_interests.column("user_id").chunks, *user_text_embeddings.column("user_id").chunks], pa.string())
    )
    interests = Vocabulary(
        "interest",
        pa.chunked_array([*item_interests.column("interest_id").chunks, *user_interests.column("interest_id").chunks], pa.string()),
    )
    text_ID = _vectors(item_embeddings, key="item_id", order=items, dimension=0)
    text_UD = _vectors(user_text_embeddings, key="user_id", order=users, dimension=text_ID.shape[1])
    weights_IT = _weights(item_interests, key="item_id", order=items, interests=interests)
    weights_UT = _weights(user_interests, key="user_id", order=users, interests=interests)
    has_text_U = np.linalg.norm(text_UD, axis=1) > 0
    has_interest_U = np.asarray((weights_UT > 0).sum(axis=1)).reshape(-1) > 0
    num_signals_U = np.maximum(has_text_U.astype(np.float32) + has_interest_U, 1.0)

    def score(user_index: IntArray) -> FloatArray:
        by_interest_BI = (weights_UT[user_index] @ weights_IT.T).toarray()
        by_text_BI = text_UD[user_index] @ text_ID.T
        scores_BI: FloatArray = ((by_interest_BI + by_text_BI) / num_signals_U[user_index, None]).astype(np.float32)
        return scores_BI

    return Rung(name="interest", users=users, items=items, can_answer_U=has_text_U | has_interest_U, score=score)


def _require_one_space(item_embeddings: pa.Table, user_text_embeddings: pa.Table) -> None:
    of_items = space_of(item_embeddings, name="item_embeddings")
    of_users = space_of(user_text_embeddings, name="user_text_embeddings")
    if of_items is not None and of_users is not None:
        require_same_space(of_items, of_users)


def _vectors(table: pa.Table, *, key: str, order: Vocabulary, dimension: int) -> FloatArray:
    """Unit vectors in the order of `order`, zeros for ids without one."""
    given_ND = vectors_to_matrix(table.column("vector"))
    vectors = np.zeros((len(order), given_ND.shape[1] or dimension), dtype=np.float32)
    if len(given_ND):
        vectors[order.positions(table.column(key))] = dense_unit_rows(given_ND)
    return vectors


def _weights(table: pa.Table, *, key: str, order: Vocabulary, interests: Vocabulary) -> sp.csr_array:
    """Interest weights with rows of unit length."""
    rows, columns = order.positions(table.column(key)), interests.positions(table.column("interest_id"))
    weights = np.asarray(table.column("weight"), dtype=np.float32)
    return unit_rows(sp.csr_array((weights, (rows, columns)), shape=(len(order), len(interests)), dtype=np.float32))
