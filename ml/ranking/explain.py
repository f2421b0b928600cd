"""Each recommendation gets its reason: a path of existing edges, and the same in words.

Finding paths is `ml.ranking.reasons`, templates are `ml.ranking.wording`. Where the
graph holds no path, the words claim only what can be counted. Shapes: N rows, I items.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ml.contracts.contract import STRING, STRINGS
from ml.graph.build import INTERACTED
from ml.graph.interest_graph import InterestGraph
from ml.ids import IntArray, Vocabulary
from ml.ranking.evidence import Evidence
from ml.ranking.names import Names
from ml.ranking.paths import build_paths, path_exists
from ml.ranking.pieces import put_together
from ml.ranking.reasons import ENTITY, INTEREST, LINK, NONE, OTHERS, Reasons, find_reasons
from ml.ranking.wording import Language, fill, is_chinese

__all__ = ["Explainer", "path_exists"]


class Explainer:
    """Explains ranked items with one day's graph."""

    def __init__(
        self,
        graph: InterestGraph,
        *,
        names: Names,
        language: Language,
        user_interests: pa.Table | None = None,
        writers: pa.Array | pa.ChunkedArray | None = None,
    ) -> None:
        """`user_interests` names the items behind an interest; `writers` are the ids of users with a vector of own words."""
        self._graph = graph
        self._names = names
        self._language: Language = language
        self._evidence = Evidence(user_interests, users=graph.vocabularies["user"], interests=graph.vocabularies["interest"])
        self._writers = Vocabulary("user", [] if writers is None else writers)
        self._num_likers_I: IntArray = np.diff(graph.adjacency(INTERACTED).tocsc().indptr).astype(np.int64)

    def explain(self, ranked: pa.Table) -> pa.Table:
        """`ranked` (user_id, item_id, rung, ...) with the columns `reason` and `path`, rows in the same order.

        Rung popular gets no path. Users and items that the graph does not know are no
        error; there is no path to them either.
        """
        user_N, knows_user_N = self._graph.vocabularies["user"].find(ranked.column("user_id"))
        item_N, knows_item_N = self._graph.vocabularies["item"].find(ranked.column("item_id"))
        may_have_path_N = knows_user_N & knows_item_N & np.asarray(pc.not_equal(ranked.column("rung"), "popular"), dtype=np.bool_)
        inside, outside = np.flatnonzero(may_have_path_N), np.flatnonzero(~may_have_path_N)
        found = find_reasons(self._graph, user_N=user_N[inside], item_N=item_N[inside])
        with_path, without = inside[found.kind_N != NONE], np.concatenate([inside[found.kind_N == NONE], outside])
        found = found.take(np.flatnonzero(found.kind_N != NONE))
        paths = build_paths(self._graph, found, user_N=user_N[with_path], item_N=item_N[with_path])
        no_paths = pa.array([[]] * len(without), STRINGS)
        words = self._words(found, ranked=ranked.take(pa.array(with_path)), user_N=user_N[with_path])
        other_words = self._words_without_path(ranked.take(pa.array(without)))
        return ranked.append_column("reason", put_together([(with_path, words), (without, other_words)], dtype=STRING)).append_column(
            "path", put_together([(with_path, paths), (without, no_paths)], dtype=STRINGS)
        )

    def _words(self, found: Reasons, *, ranked: pa.Table, user_N: IntArray) -> pa.Array:
        chinese = self._is_chinese(ranked)
        tellers = {INTEREST: self._interest_words, ENTITY: self._entity_words, LINK: self._link_words, OTHERS: self._others_words}
        pieces = []
        for kind, tell in tellers.items():
            rows = np.flatnonzero(found.kind_N == kind)
            pieces.append((rows, tell(found.take(rows), user_N[rows], chinese.take(pa.array(rows)))))
        return put_together(pieces, dtype=STRING)

    def _interest_words(self, found: Reasons, user_N: IntArray, chinese: pa.Array) -> pa.Array:
        interest = self._named("interest", found.interest_N)
        item_ids = self._evidence.of(user_N=user_N, interest_N=found.interest_N)
        evidence = self._names.of("item", pc.fill_null(item_ids, ""))
        told_with = fill("interest_as_in", is_chinese=chinese, interest=interest, evidence=evidence)
        return pc.if_else(item_ids.is_valid(), told_with, fill("interest", is_chinese=chinese, interest=interest))

    def _entity_words(self, found: Reasons, _user_N: IntArray, chinese: pa.Array) -> pa.Array:
        liked, entity = self._named("item", found.liked_N), self._named("entity", found.entity_N)
        return fill("entity", is_chinese=chinese, liked=liked, relation=_spoken(found), entity=entity)

    def _link_words(self, found: Reasons, _user_N: IntArray, chinese: pa.Array) -> pa.Array:
        return fill("link", is_chinese=chinese, liked=self._named("item", found.liked_N), relation=_spoken(found))

    def _others_words(self, found: Reasons, _user_N: IntArray, chinese: pa.Array) -> pa.Array:
        number = pa.array(found.num_others_N).cast(STRING)
        return fill("others", is_chinese=chinese, liked=self._named("item", found.liked_N), number=number)

    def _words_without_path(self, ranked: pa.Table) -> pa.Array:
        """What can be said without a path: nearness to own words, how many like it, or nothing but a try."""
        chinese = self._is_chinese(ranked)
        item_N, knows_item_N = self._graph.vocabularies["item"].find(ranked.column("item_id"))
        num_likers_N = np.where(knows_item_N, np.append(self._num_likers_I, 0)[item_N], 0)
        popular = fill("popular", is_chinese=chinese, number=pa.array(num_likers_N).cast(STRING))
        counted = pc.if_else(pa.array(num_likers_N > 0), popular, fill("discovery", is_chinese=chinese))
        _, is_writer_N = self._writers.find(ranked.column("user_id"))
        by_words = pc.and_(pa.array(is_writer_N), pc.equal(ranked.column("rung").combine_chunks(), "interest"))
        return pc.if_else(by_words, fill("own_words", is_chinese=chinese), counted)

    def _is_chinese(self, ranked: pa.Table) -> pa.Array:
        return is_chinese(self._names.of("item", ranked.column("item_id").combine_chunks()), language=self._language)

    def _named(self, node_type: str, positions: IntArray) -> pa.Array:
        return self._names.of(node_type, self._graph.vocabularies[node_type].take(positions))


def _spoken(found: Reasons) -> pa.Array:
    """Relations as people say them."""
    return pc.replace_substring(found.relations(np.arange(len(found.kind_N))), "_", " ")
