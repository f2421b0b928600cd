"""A free text answered with ranked items, each with the interest points that match it.

The text arrives as a vector; encoding it is `ml.text`. Shapes: I items, T interest
points, D dimension.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import scipy.sparse as sp

from ml.contracts.spaces import require_same_space, space_of
from ml.contracts.vectors import vectors_to_matrix
from ml.ids import FloatArray, IntArray, Vocabulary
from ml.ranking.top_n import top_n
from ml.ranking.wording import Language, fill, is_chinese


@dataclass(frozen=True)
class Preference:
    """A user's own scores of the release's items, and how much they count against the text, in [0, 1]."""

    items: Vocabulary
    scores_I: FloatArray
    share: float = 0.3


def answer_query(
    query_vector: FloatArray,
    *,
    space_id: str,
    item_embeddings: pa.Table,
    interest_points: pa.Table,
    item_interests: pa.Table,
    k: int,
    preference: Preference | None = None,
    excluded: pa.Array | None = None,
    language: Language = "auto",
    num_matches: int = 20,
) -> list[dict[str, Any]]:
    """The `k` best items: rank, item_id, score, similarity (cosine to the text), matched_interests, reason.

    `score` is the cosine or, with a `preference`, the mean of its standard score and the
    user's, weighted by share (items the preference does not know count as average).
    `excluded` item ids are left out. Points match the text if they are among its
    `num_matches` nearest and clearly nearer than most (mean + 0.9 standard deviations, a
    bar that fits every encoder's range of cosines); an item's reason names the nearest
    that it is about. Ties go by item id.
    Raises `EmbeddingSpaceError` unless text, items and points are of one space.
    """
    for name, table in (("item_embeddings", item_embeddings), ("interest_points", interest_points)):
        found = space_of(table, name=name)
        require_same_space(space_id, found if found is not None else space_id)
    items = Vocabulary("item", item_embeddings.column("item_id"))
    similarity_I = _cosines(query_vector, item_embeddings, key="item_id", order=items)
    score_I = similarity_I if preference is None else _blended(similarity_I, items=items, preference=preference)
    best_1K, score_1K = top_n(
        lambda _: score_I[None, :], user_index=np.zeros(1, dtype=np.int64), excluded_UI=_row_of(excluded, items=items), k=k, block_size=1
    )
    best = best_1K[0][best_1K[0] >= 0]
    matched = _matched_interests(query_vector, best, items=items, points=interest_points, item_interests=item_interests, limit=num_matches)
    reasons = _reasons(matched, language=language)
    return [
        {
            "rank": place + 1,
            "item_id": item_id,
            "score": float(score_1K[0, place]),
            "similarity": float(similarity_I[best[place]]),
            "matched_interests": matched[place],
            "reason": reasons[place],
        }
        for place, item_id in enumerate(items.take(best).to_pylist())
    ]


def _row_of(excluded: pa.Array | None, *, items: Vocabulary) -> sp.csr_array:
    """A mask of item ids as one sparse row, shape [1, I]; unknown ids are no matter."""
    found, known = items.find([] if excluded is None else excluded)
    row_1I = np.zeros((1, len(items)), dtype=np.int8)
    row_1I[0, found[known]] = 1
    return sp.csr_array(row_1I)


def _cosines(query_vector: FloatArray, table: pa.Table, *, key: str, order: Vocabulary) -> FloatArray:
    vectors_ND = vectors_to_matrix(table.column("vector"))
    cosines = np.zeros(len(order), dtype=np.float32)
    if len(order):
        lengths = np.linalg.norm(vectors_ND, axis=1) * np.linalg.norm(query_vector)
        cosines[order.positions(table.column(key))] = vectors_ND @ query_vector / np.where(lengths > 0, lengths, 1.0)
    return cosines


def _blended(similarity_I: FloatArray, *, items: Vocabulary, preference: Preference) -> FloatArray:
    """Standard scores make a cosine and a model's score comparable, whatever its scale."""
    if not 0 <= preference.share <= 1:
        raise ValueError(f"preference.share must be in [0, 1], got {preference.share}")
    place, known = preference.items.find(items.ids)
    taste_I = np.zeros(len(items), dtype=np.float32)
    taste_I[known] = _standard(preference.scores_I)[place[known]]
    blended: FloatArray = (1 - preference.share) * _standard(similarity_I) + preference.share * taste_I
    return blended.astype(np.float32)


def _standard(scores: FloatArray) -> FloatArray:
    spread = scores.std() if len(scores) else 0.0
    standard: FloatArray = (scores - scores.mean()) / spread if spread > 0 else np.zeros_like(scores)
    return standard


def _matched_interests(
    query_vector: FloatArray, best: IntArray, *, items: Vocabulary, points: pa.Table, item_interests: pa.Table, limit: int
) -> list[list[str]]:
    """Names of each best item's interest points among the `limit` nearest to the text, nearest first."""
    interests = Vocabulary("interest", points.column("interest_id"))
    cosine_T = _cosines(query_vector, points, key="interest_id", order=interests)
    nearest = np.lexsort((np.arange(len(cosine_T)), -cosine_T))[:limit]
    bar = cosine_T.mean() + 0.9 * cosine_T.std() - 1e-6 if len(cosine_T) else 0.0
    nearest = nearest[cosine_T[nearest] > max(bar, 0.0)]
    about_IT = _about(item_interests, items=items, interests=interests)[best][:, nearest].toarray()
    names = points.sort_by("interest_id").column("name").combine_chunks().take(pa.array(nearest)).to_pylist()
    return [[names[column] for column in np.flatnonzero(row)] for row in about_IT]


def _about(item_interests: pa.Table, *, items: Vocabulary, interests: Vocabulary) -> sp.csr_array:
    item_index, knows_item = items.find(item_interests.column("item_id"))
    interest_index, knows_interest = interests.find(item_interests.column("interest_id"))
    known = knows_item & knows_interest
    shape = (len(items), len(interests))
    return sp.csr_array((np.ones(int(known.sum()), dtype=np.float32), (item_index[known], interest_index[known])), shape=shape)


def _reasons(matched: list[list[str]], *, language: Language) -> list[str]:
    nearest = pa.array([names[0] if names else "" for names in matched], pa.string())
    chinese = is_chinese(nearest, language=language)
    named = fill("query_interest", is_chinese=chinese, interest=nearest).to_pylist()
    unnamed = fill("query", is_chinese=chinese).to_pylist()
    return [with_name if names else without for names, with_name, without in zip(matched, named, unnamed, strict=True)]
