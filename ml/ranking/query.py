"""A free text answered with ranked items, each with the interest points that match it.

The text arrives as a vector; encoding it is `ml.text`. Shapes: I items, T interest
points, D dimension.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import scipy.sparse as sp

from ml.config.pipeline import QuestionConfig
from ml.contracts.spaces import require_same_space, space_of
from ml.contracts.vectors import vectors_to_matrix
from ml.ids import FloatArray, IntArray, Vocabulary
from ml.ranking.matching import cosines, match_interests, named_share
from ml.ranking.question_graph import Passed, QuestionGraph, pass_question
from ml.ranking.question_paths import explain_question
from ml.ranking.wording import Language, fill, is_chinese
from ml.top_n import top_n

# Enough to lead where cosines hardly differ, too little to drown what the other words mean.
NAMED_WEIGHT = 0.3


@dataclass(frozen=True)
class Knowledge:
    """What a question is passed over, and how."""

    graph: QuestionGraph
    config: QuestionConfig


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
    text: str = "",
    preference: Preference | None = None,
    knowledge: Knowledge | None = None,
    excluded: pa.Array | None = None,
    language: Language = "auto",
    num_matches: int = 20,
) -> list[dict[str, Any]]:
    """The `k` best items: rank, item_id, score, similarity (cosine to the text), matched_interests, reason, path.

    `score` is the cosine plus, where the query's own words are given as `text`, 0.3 of the
    share of the item that interest points named in them make up: exact names count also
    in a language the encoder hardly reads. With `knowledge` what reaches the item over the graph is added (see
    `pass_question`), and reason and path tell the way it came; else the path is empty. With a `preference` it is the mean of that score's
    standard score and the user's, weighted by share (items the preference does not know
    count as average). `excluded` item ids are left out. An item's reason names the best
    matching interest it is about (see `match_interests`; `num_matches` at most). Ties go
    by item id. Raises `EmbeddingSpaceError` unless text, items and points are of one space.
    """
    _require_space(space_id, item_embeddings=item_embeddings, interest_points=interest_points)
    item_embeddings = item_embeddings.sort_by("item_id")
    items = Vocabulary("item", item_embeddings.column("item_id"))
    similarity_I = cosines(query_vector, vectors_to_matrix(item_embeddings.column("vector")))
    matches = match_interests(query_vector, text=text, points=interest_points, limit=num_matches)
    about_IT = about(item_interests, items=items, interests=matches.interests)
    score_I = similarity_I + NAMED_WEIGHT * named_share(matches, about_IT=about_IT)
    passed = _pass(knowledge, query_vector, text=text, items=items)
    if knowledge is not None and passed is not None:
        score_I = score_I + knowledge.config.graph_weight * passed.arrived_I
    if preference is not None:
        score_I = _blended(score_I, items=items, preference=preference)
    best = _best(score_I, excluded=excluded, items=items, k=k)
    matched = [matches.names.take(pa.array(matches.order[row])).to_pylist() for row in about_IT[best][:, matches.order].toarray() > 0]
    reasons, paths = _reasons(matched, language=language), [list[str]() for _ in best]
    if knowledge is not None and passed is not None:
        explained = explain_question(knowledge.graph, passed, items=best, language=language)
        reasons = [by_path or reason for by_path, reason in zip(explained.reasons, reasons, strict=True)]
        paths = explained.paths
    return [
        {
            "rank": place + 1,
            "item_id": item_id,
            "score": float(score_I[best[place]]),
            "similarity": float(similarity_I[best[place]]),
            "matched_interests": matched[place],
            "reason": reasons[place],
            "path": paths[place],
        }
        for place, item_id in enumerate(items.take(best).to_pylist())
    ]


def _require_space(space_id: str, *, item_embeddings: pa.Table, interest_points: pa.Table) -> None:
    for name, table in (("item_embeddings", item_embeddings), ("interest_points", interest_points)):
        found = space_of(table, name=name)
        if found is not None:
            require_same_space(space_id, found)


def _pass(knowledge: Knowledge | None, query_vector: FloatArray, *, text: str, items: Vocabulary) -> Passed | None:
    """What arrives at the items; None where nothing is to be passed on. Raises `ValueError` for a graph of other items."""
    if knowledge is None or knowledge.config.graph_weight == 0:
        return None
    if knowledge.graph.vocabularies["item"] != items:
        raise ValueError("the graph's items are not those that have embeddings; build it with their vocabulary")
    return pass_question(knowledge.graph, query_vector, text=text, config=knowledge.config)


def _best(score_I: FloatArray, *, excluded: pa.Array | None, items: Vocabulary, k: int) -> IntArray:
    """Positions of the `k` best items that are not excluded, best first; unknown excluded ids are no matter."""
    hidden, known = items.find([] if excluded is None else excluded)
    hidden_1I = np.zeros((1, len(items)), dtype=np.int8)
    hidden_1I[0, hidden[known]] = 1
    best_1K, _ = top_n(
        lambda _: score_I[None, :], user_index=np.zeros(1, dtype=np.int64), excluded_UI=sp.csr_array(hidden_1I), k=k, block_size=1
    )
    best: IntArray = best_1K[0][best_1K[0] >= 0]
    return best


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


def about(item_interests: pa.Table, *, items: Vocabulary, interests: Vocabulary) -> sp.csr_array:
    """Weights of interest points on items, shape [I, T]."""
    item_index, knows_item = items.find(item_interests.column("item_id"))
    interest_index, knows_interest = interests.find(item_interests.column("interest_id"))
    known = knows_item & knows_interest
    shape = (len(items), len(interests))
    weights = np.asarray(item_interests.column("weight"), dtype=np.float32)[known]
    return sp.csr_array((weights, (item_index[known], interest_index[known])), shape=shape)


def _reasons(matched: list[list[str]], *, language: Language) -> list[str]:
    best = pa.array([names[0] if names else "" for names in matched], pa.string())
    chinese = is_chinese(best, language=language)
    named = fill("query_interest", is_chinese=chinese, interest=best).to_pylist()
    unnamed = fill("query", is_chinese=chinese).to_pylist()
    return [with_name if names else without for names, with_name, without in zip(matched, named, unnamed, strict=True)]
