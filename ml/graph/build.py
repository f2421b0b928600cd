"""Builds the interest graph: what users did, what they like, what items are about, what is known of them.

Every edge comes from a row of a table, or from two rows of one (items alike in meaning, see `ml.graph.meaning`);
what is left out again is `ml.graph.pruning`. The graph's shape is `ml.graph.interest_graph`,
its table `ml.graph.table`. Shapes: E edges, I items, D dimension.
"""

from datetime import datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ml.config.pipeline import GraphConfig
from ml.contracts import check_no_leakage
from ml.decay import decay_factors
from ml.graph.edge_types import ABOUT, DISLIKED, FRIEND, HAS_INTEREST, INTERACTED, SIMILAR, WITHIN
from ml.graph.grouping import rows_by_edge_type
from ml.graph.hierarchy import within_edges
from ml.graph.interest_graph import Edges, EdgeType, InterestGraph
from ml.graph.meaning import similar_edges
from ml.graph.pruning import prune
from ml.ids import FloatArray, IntArray, Vocabulary, pair_starts

__all__ = [
    "ABOUT",
    "DISLIKED",
    "FRIEND",
    "HAS_INTEREST",
    "INTERACTED",
    "SIMILAR",
    "WITHIN",
    "build_interest_graph",
    "build_with_report",
    "known_users",
]

# A fact is there or it is not; how much it counts is the model's business.
KNOWLEDGE_WEIGHT = 1.0
# Likes and dislikes that cancel leave rounding errors, not edges; relative to what was summed.
ROUNDING = 1e-9


def build_interest_graph(
    interactions: pa.Table,
    *,
    items: Vocabulary,
    users: Vocabulary,
    item_interests: pa.Table,
    user_interests: pa.Table,
    knowledge_graph: pa.Table,
    config: GraphConfig,
    as_of: datetime,
    interest_points: pa.Table | None = None,
    text_ID: FloatArray | None = None,
) -> InterestGraph:
    """The graph as known at `as_of`, pruned: `build_with_report` without its report."""
    graph, _ = build_with_report(
        interactions,
        items=items,
        users=users,
        item_interests=item_interests,
        user_interests=user_interests,
        knowledge_graph=knowledge_graph,
        config=config,
        as_of=as_of,
        interest_points=interest_points,
        text_ID=text_ID,
    )
    return graph


def build_with_report(
    interactions: pa.Table,
    *,
    items: Vocabulary,
    users: Vocabulary,
    item_interests: pa.Table,
    user_interests: pa.Table,
    knowledge_graph: pa.Table,
    config: GraphConfig,
    as_of: datetime,
    interest_points: pa.Table | None = None,
    text_ID: FloatArray | None = None,
) -> tuple[InterestGraph, pa.Table]:
    """The graph as known at `as_of`, and the report of what was pruned; edges of each type sorted by source, then target.

    Weights: `interacted` and `disliked` log1p of a pair's summed weight, halved every
    `half_life_days`, by its sign; `has_interest` the user's weight where above 0; `about` the
    item's weight; knowledge relations, each a type of its own, and `friend` 1, friends only where `users` holds both.
    With `interest_points`, `within` 1 from an interest to the one it is a part of. With `text_ID` (vectors of `items`,
    zeros where nothing is said), `similar` how far a pair's cosine is above the noise floor. Edges that are redundant or
    faint are left out (`ml.graph.pruning`), their nodes stay; a user's behaviour is measured by its strongest edge, so that
    a user long away keeps what was liked. Raises `LeakageError` for interactions at or after
    `as_of`, `UnknownIdError` for users or items outside the vocabularies.
    """
    check_no_leakage(interactions, name="interactions", column="last_event_at", as_of=as_of)
    interest_ids = pa.chunked_array(
        [*item_interests.column("interest_id").chunks, *user_interests.column("interest_id").chunks], pa.string()
    )
    vocabularies = {"user": users, "item": items, "interest": Vocabulary("interest", interest_ids), "entity": _entities(knowledge_graph)}
    found = {
        **_behaviour_edges(interactions, vocabularies=vocabularies, half_life_days=config.half_life_days, as_of=as_of),
        HAS_INTEREST: _weighted_edges(user_interests, edge_type=HAS_INTEREST, vocabularies=vocabularies),
        ABOUT: _weighted_edges(item_interests, edge_type=ABOUT, vocabularies=vocabularies),
        **_knowledge_edges(knowledge_graph, vocabularies=vocabularies),
    }
    if interest_points is not None:
        found[WITHIN] = within_edges(interest_points, interests=vocabularies["interest"])
    if text_ID is not None:
        found[SIMILAR] = similar_edges(text_ID, config=config, rng=np.random.default_rng(config.seed))
    everything = InterestGraph(vocabularies, {known: found[known] for known in sorted(found, key=_order) if len(found[known])})
    return prune(everything, config=config)


def known_users(interactions: pa.Table, *, user_interests: pa.Table) -> Vocabulary:
    """Everybody who met an item or has an interest: who only searched has no other edge."""
    return _joined("user", interactions.column("user_id"), user_interests.column("user_id"))


def _behaviour_edges(
    interactions: pa.Table, *, vocabularies: dict[str, Vocabulary], half_life_days: float, as_of: datetime
) -> dict[EdgeType, Edges]:
    user_M, item_M, net_M = _net_weights(interactions, vocabularies=vocabularies, half_life_days=half_life_days, as_of=as_of)
    weight_M = np.log1p(np.abs(net_M))
    liked_M, disliked_M = net_M > 0, net_M < 0
    return {
        INTERACTED: _edges(user_M[liked_M], item_M[liked_M], weight_M[liked_M]),
        DISLIKED: _edges(user_M[disliked_M], item_M[disliked_M], weight_M[disliked_M]),
    }


def _net_weights(
    interactions: pa.Table, *, vocabularies: dict[str, Vocabulary], half_life_days: float, as_of: datetime
) -> tuple[IntArray, IntArray, npt.NDArray[np.float64]]:
    """User, item and decayed sum of weights of each pair, in order of user, then item; 0 where they cancel."""
    decay = decay_factors(interactions.column("last_event_at"), as_of=as_of, half_life_days=half_life_days)
    # However old, what somebody did weighs more than nothing.
    weight_N = np.asarray(interactions.column("weight"), dtype=np.float64) * np.maximum(decay, np.finfo(np.float64).tiny)
    user_N = vocabularies["user"].positions(interactions.column("user_id"))
    item_N = vocabularies["item"].positions(interactions.column("item_id"))
    order = np.lexsort((weight_N, item_N, user_N))
    user_N, item_N = user_N[order], item_N[order]
    starts = pair_starts(user_N, item_N)
    if not len(starts):
        return user_N, item_N, weight_N
    net_M, gross_M = np.add.reduceat(weight_N[order], starts), np.add.reduceat(np.abs(weight_N[order]), starts)
    return user_N[starts], item_N[starts], np.where(np.abs(net_M) > ROUNDING * gross_M, net_M, 0.0)


def _weighted_edges(table: pa.Table, *, edge_type: EdgeType, vocabularies: dict[str, Vocabulary]) -> Edges:
    """Edges of a table with columns `<source>_id`, `<target>_id` and `weight`, those above 0."""
    positive = table.filter(pc.greater(table.column("weight"), 0.0))
    source = vocabularies[edge_type.source].positions(positive.column(f"{edge_type.source}_id"))
    target = vocabularies[edge_type.target].positions(positive.column(f"{edge_type.target}_id"))
    return _edges(source, target, np.asarray(positive.column("weight"), dtype=np.float64))


def _knowledge_edges(knowledge_graph: pa.Table, *, vocabularies: dict[str, Vocabulary]) -> dict[EdgeType, Edges]:
    edges = {}
    grouped = rows_by_edge_type(knowledge_graph, source_type="head_type", relation="relation", target_type="tail_type")
    for given, triples in grouped:
        # A given relation of the name of one that is made here is another relation.
        edge_type = EdgeType(given.source, f"given_{given.relation}", given.target) if given in (SIMILAR, WITHIN) else given
        if edge_type == FRIEND:
            edges[FRIEND] = _friend_edges(triples, users=vocabularies["user"])
            continue
        head = vocabularies[edge_type.source].positions(triples.column("head"))
        tail = vocabularies[edge_type.target].positions(triples.column("tail"))
        edges[edge_type] = _edges(head, tail, np.full(triples.num_rows, KNOWLEDGE_WEIGHT))
    return edges


def _friend_edges(triples: pa.Table, *, users: Vocabulary) -> Edges:
    """Friends of whom both are users by now, from the lower position to the higher; somebody who has done nothing is no node yet."""
    ends = [users.find(triples.column(end)) for end in ("head", "tail")]
    both = ends[0][1] & ends[1][1]
    lower, higher = np.sort([ends[0][0][both], ends[1][0][both]], axis=0)
    return _edges(lower, higher, np.full(len(lower), KNOWLEDGE_WEIGHT))


def _entities(knowledge_graph: pa.Table) -> Vocabulary:
    heads = knowledge_graph.filter(pc.equal(knowledge_graph.column("head_type"), "entity")).column("head")
    tails = knowledge_graph.filter(pc.equal(knowledge_graph.column("tail_type"), "entity")).column("tail")
    return _joined("entity", heads, tails)


def _joined(kind: str, left: pa.ChunkedArray, right: pa.ChunkedArray) -> Vocabulary:
    return Vocabulary(kind, pa.chunked_array([*left.chunks, *right.chunks], pa.string()))


def _edges(source: IntArray, target: IntArray, weight: npt.NDArray[np.float64]) -> Edges:
    order = np.lexsort((target, source))
    # Nor is it nothing in the graph's number type.
    floored = np.maximum(weight[order], np.finfo(np.float32).tiny)
    return Edges(source[order], target[order], floored.astype(np.float32))


def _order(edge_type: EdgeType) -> tuple[str, str, str]:
    return edge_type.source, edge_type.relation, edge_type.target
