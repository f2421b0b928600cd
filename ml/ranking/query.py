"""A free text answered with ranked items, each with the interest points that match it.

The text arrives as a vector; encoding it is `ml.text`. Shapes: I items, T interest
points, D dimension, K items explained.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import scipy.sparse as sp

from ml.config.pipeline import QuestionConfig
from ml.contracts.spaces import require_same_space, space_of
from ml.contracts.vectors import vectors_to_matrix
from ml.graph.table import graph_from_table
from ml.ids import FloatArray, IntArray, Vocabulary
from ml.ranking.lexical import Said, WordIndex
from ml.ranking.matching import Matches, Points, cosines, match_interests, named_share
from ml.ranking.names import Names
from ml.ranking.question_graph import Passed, QuestionGraph, build_question_graph, pass_question
from ml.ranking.question_paths import Explained, explain_question
from ml.ranking.wording import Language, fill, is_chinese
from ml.top_n import top_n

# Enough to lead where cosines hardly differ, too little to drown what the other words mean.
NAMED_WEIGHT = 0.3


@dataclass(frozen=True)
class Knowledge:
    """What a question is passed over, and how."""

    graph: QuestionGraph
    config: QuestionConfig

    @classmethod
    def of(
        cls, interest_graph: pa.Table, *, item_embeddings: pa.Table, interest_points: pa.Table, names: Names, config: QuestionConfig
    ) -> "Knowledge":
        """A day's graph from its tables, without its users, over the items that have embeddings."""
        is_of_user = pc.or_(pc.equal(interest_graph.column("source_type"), "user"), pc.equal(interest_graph.column("target_type"), "user"))
        embedded = Vocabulary("item", item_embeddings.column("item_id"))
        graph = graph_from_table(interest_graph.filter(pc.invert(is_of_user)), vocabularies={"item": embedded})
        return cls(build_question_graph(graph, item_embeddings=item_embeddings, interest_points=interest_points, names=names), config)


@dataclass(frozen=True)
class Preference:
    """A user's own scores of the release's items, and how much they count against the text, in [0, 1]."""

    items: Vocabulary
    scores_I: FloatArray
    share: float = 0.3


@dataclass(frozen=True)
class QueryIndex:
    """What free texts are answered from, made ready once for many of them; items by position in their vocabulary."""

    items: Vocabulary
    vectors_ID: FloatArray
    points: Points
    about_IT: sp.csr_array
    space_ids: frozenset[str]
    knowledge: Knowledge | None = None
    words: WordIndex | None = None

    @classmethod
    def of(
        cls,
        *,
        item_embeddings: pa.Table,
        interest_points: pa.Table,
        item_interests: pa.Table,
        knowledge: Knowledge | None = None,
        words: WordIndex | None = None,
    ) -> "QueryIndex":
        """From the tables of a day. Raises `ValueError` for knowledge or words of other items than have embeddings."""
        spaces = (
            space_of(table, name=name) for name, table in (("item_embeddings", item_embeddings), ("interest_points", interest_points))
        )
        embeddings = item_embeddings.sort_by("item_id")
        items, points = Vocabulary("item", embeddings.column("item_id")), Points.of(interest_points)
        if knowledge is not None and knowledge.config.graph_weight > 0 and knowledge.graph.vocabularies["item"] != items:
            raise ValueError("the graph's items are not those that have embeddings; build it with their vocabulary")
        if words is not None and words.items != items:
            raise ValueError("the words' items are not those that have embeddings; build them with their vocabulary")
        return cls(
            items=items,
            vectors_ID=vectors_to_matrix(embeddings.column("vector")),
            points=points,
            about_IT=about(item_interests, items=items, interests=points.interests),
            space_ids=frozenset(space for space in spaces if space is not None),
            knowledge=knowledge if knowledge is not None and knowledge.config.graph_weight > 0 else None,
            words=words,
        )

    def ask(self, query_vector: FloatArray, *, space_id: str, text: str = "", num_matches: int = 20) -> "Answered":
        """How well every item answers a text of this vector. Raises `EmbeddingSpaceError` unless all is of the space `space_id`.

        The score is the cosine plus, where the query's own words are given as `text`, 0.3 of the
        share of the item that interest points named in them make up: exact names count also
        in a language the encoder hardly reads. With knowledge what reaches the item over the graph is added (see `pass_question`),
        with words what the question's words say of the item (see `WordIndex.say`).
        """
        for known in sorted(self.space_ids):
            require_same_space(space_id, known)
        similarity_I = cosines(query_vector, self.vectors_ID)
        matches = match_interests(query_vector, text=text, points=self.points, limit=num_matches)
        named_I = NAMED_WEIGHT * named_share(matches, about_IT=self.about_IT)
        score_I = similarity_I + named_I
        passed = said = None
        if self.knowledge is not None:
            passed = pass_question(self.knowledge.graph, query_vector, text=text, config=self.knowledge.config)
            score_I = score_I + self.knowledge.config.graph_weight * passed.arrived_I
        if self.words is not None:
            said = self.words.say(text)
            score_I = score_I + self.words.weight * said.share_I
        return Answered(self, score_I=score_I, similarity_I=similarity_I, named_I=named_I, matches=matches, passed=passed, said=said)

    @property
    def highest_score(self) -> float:
        """What no item's score is above."""
        over_graph = self.knowledge.config.graph_weight if self.knowledge else 0.0
        return 1.0 + NAMED_WEIGHT + over_graph + (self.words.weight if self.words else 0.0)


@dataclass(frozen=True)
class Answered:
    """One text's scores of every item, shape [I], and what they came from."""

    index: QueryIndex
    score_I: FloatArray
    similarity_I: FloatArray
    named_I: FloatArray
    matches: Matches
    passed: Passed | None
    said: Said | None

    def matched(self, items: IntArray) -> list[list[str]]:
        """Names of the matching interests that each item is about, best match first."""
        shown = self.index.points.names.take(pa.array(self.matches.order))
        is_about_KT = self.index.about_IT[items][:, self.matches.order].toarray() > 0
        return [shown.filter(pa.array(row)).to_pylist() for row in is_about_KT]

    def explained(self, items: IntArray, *, language: Language) -> Explained:
        """Why each item: the question's words, where they add more to its cosine than the rest, else the way over the graph.

        Else the best matching interest it is about. Words and interests have no path.
        """
        reasons, paths = _reasons(self.matched(items), language=language), [list[str]() for _ in items]
        if self.index.knowledge is not None and self.passed is not None:
            by_path = explain_question(self.index.knowledge.graph, self.passed, items=items, language=language)
            reasons, paths = [told or reason for told, reason in zip(by_path.reasons, reasons, strict=True)], by_path.paths
        by_words = self._in_words(items, language=language)
        return Explained(
            [told or reason for told, reason in zip(by_words, reasons, strict=True)],
            [[] if told else path for told, path in zip(by_words, paths, strict=True)],
        )

    def _in_words(self, items: IntArray, *, language: Language) -> list[str]:
        """Sentences that tell the words that an item is found by, shape [K]; empty where something else adds more to its cosine."""
        if self.said is None or self.index.words is None:
            return [""] * len(items)
        others_K = self.named_I[items]
        if self.index.knowledge is not None and self.passed is not None:
            others_K = np.maximum(others_K, self.index.knowledge.config.graph_weight * self.passed.arrived_I[items])
        leads_K = self.index.words.weight * self.said.share_I[items] > others_K
        told = self.said.told(items)
        joined = pa.array(["".join(words) for words in told], pa.string())
        chinese = is_chinese(joined, language=language)
        listed = pc.if_else(
            chinese,
            pa.array(["、".join(f"“{word}”" for word in words) for words in told], pa.string()),
            pa.array([", ".join(f'"{word}"' for word in words) for words in told], pa.string()),
        )
        sentences = fill("query_words", is_chinese=chinese, words=listed).to_pylist()
        return [sentence if leads else "" for sentence, leads in zip(sentences, leads_K.tolist(), strict=True)]


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
    words: WordIndex | None = None,
    excluded: pa.Array | None = None,
    language: Language = "auto",
    num_matches: int = 20,
) -> list[dict[str, Any]]:
    """The `k` best items: rank, item_id, score, similarity (cosine to the text), matched_interests, reason, path.

    `score` is `QueryIndex.ask`'s; with a `preference` the mean of its standard score and the user's, weighted by share (items
    the preference does not know count as average). `excluded` item ids are left out. Reason and path are
    `Answered.explained`'s (`num_matches` interests at most). Ties go by item id. Raises as `QueryIndex` does.
    """
    index = QueryIndex.of(
        item_embeddings=item_embeddings,
        interest_points=interest_points,
        item_interests=item_interests,
        knowledge=knowledge,
        words=words,
    )
    answered = index.ask(query_vector, space_id=space_id, text=text, num_matches=num_matches)
    score_I = answered.score_I if preference is None else blended(answered.score_I, items=index.items, preference=preference)
    best = _best(score_I, excluded=excluded, items=index.items, k=k)
    matched, explained = answered.matched(best), answered.explained(best, language=language)
    return [
        {
            "rank": place + 1,
            "item_id": item_id,
            "score": float(score_I[best[place]]),
            "similarity": float(answered.similarity_I[best[place]]),
            "matched_interests": matched[place],
            "reason": explained.reasons[place],
            "path": explained.paths[place],
        }
        for place, item_id in enumerate(index.items.take(best).to_pylist())
    ]


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


def blended(similarity_I: FloatArray, *, items: Vocabulary, preference: Preference) -> FloatArray:
    """Both as standard scores, which make a cosine and a model's score comparable, and their mean by share, shape [I]."""
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
