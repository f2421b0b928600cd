"""Every edge comes from a row, weighs what the row says, and the rest of the graph is none of it."""

import numpy as np
import pyarrow as pa
import pytest

from ml.config.pipeline import GraphConfig, InterestConfig
from ml.contracts.behaviour import INTERACTIONS, RAW_KNOWLEDGE
from ml.contracts.meaning import ITEM_INTERESTS, KNOWLEDGE_GRAPH, TEXT_INTERESTS, USER_INTERESTS
from ml.errors import LeakageError, UnknownIdError
from ml.graph.build import build_interest_graph, build_with_report, known_users
from ml.graph.edge_types import ABOUT, DISLIKED, FRIEND, HAS_INTEREST, INTERACTED, SIMILAR, WITHIN
from ml.graph.interest_graph import EdgeType, InterestGraph
from ml.ids import Vocabulary
from ml.interests.profiles import weigh_user_interests
from ml.knowledge.triples import build_knowledge_graph
from tests.ml.interests.catalogues import (
    AS_OF,
    make_interactions,
    make_item_interests,
    make_items,
    make_knowledge,
    make_points,
    make_text_interests,
    shuffled,
)

ITEM_IDS = ["hat", "pan", "sock", "茶"]
USER_IDS = ["u", "v", "w"]
BEHAVIOUR = make_interactions(
    [("u", "hat", 2, 10), ("u", "hat", 1, 20), ("u", "pan", -3, 10), ("v", "茶", 1, 10), ("v", "pan", 1, 10), ("v", "pan", -1, 10)]
)
CONTENT = make_item_interests([("hat", "tag:wool", 1.0), ("sock", "tag:wool", 0.6), ("sock", "tag:红", 0.8), ("pan", "tag:steel", 1.0)])
GIVEN = make_knowledge(
    [("hat", "goes with", "sock"), ("sock", "made_by", "Acme"), ("Acme", "based_in", "上海"), ("hat", "made_by", "Acme")]
)
NO_TEXTS = TEXT_INTERESTS.empty()
KNOWLEDGE = build_knowledge_graph(make_items([{"item_id": item} for item in ITEM_IDS]), raw_knowledge=GIVEN)


def build(
    interactions: pa.Table = BEHAVIOUR,
    *,
    item_interests: pa.Table = CONTENT,
    knowledge_graph: pa.Table = KNOWLEDGE,
    items: list[str] = ITEM_IDS,
    users: list[str] = USER_IDS,
    texts: pa.Table = NO_TEXTS,
    min_edge_weight: float = 0.0,
) -> InterestGraph:
    user_interests = weigh_user_interests(
        interactions, item_interests=item_interests, text_interests=texts, config=InterestConfig(), as_of=AS_OF
    )
    return build_interest_graph(
        interactions,
        items=Vocabulary("item", items),
        users=Vocabulary("user", users),
        item_interests=item_interests,
        user_interests=user_interests,
        knowledge_graph=knowledge_graph,
        config=GraphConfig(half_life_days=10, min_edge_weight=min_edge_weight),
        as_of=AS_OF,
    )


def named(graph: InterestGraph, edge_type: EdgeType) -> dict[tuple[str, str], float]:
    edges = graph.edges[edge_type]
    source = graph.vocabularies[edge_type.source].take(edges.source_index).to_pylist()
    target = graph.vocabularies[edge_type.target].take(edges.target_index).to_pylist()
    return dict(zip(zip(source, target, strict=True), edges.weight.tolist(), strict=True))


def test_behaviour_edges_by_hand() -> None:
    graph = build()
    assert named(graph, INTERACTED) == pytest.approx({("u", "hat"): np.log1p(2 / 2 + 1 / 4), ("v", "茶"): np.log1p(1 / 2)})
    assert named(graph, DISLIKED) == pytest.approx({("u", "pan"): np.log1p(3 / 2)})


def test_meaning_edges_by_hand() -> None:
    graph = build()
    assert named(graph, ABOUT) == pytest.approx({
        ("hat", "tag:wool"): 1.0, ("sock", "tag:wool"): 0.6, ("sock", "tag:红"): 0.8, ("pan", "tag:steel"): 1.0,
    })  # fmt: skip
    assert named(graph, HAS_INTEREST).keys() == {("u", "tag:wool")}


def test_who_only_searched_is_joined_to_what_was_searched_for() -> None:
    texts = make_text_interests([("searcher", None, "tag:steel", 1.0, 2)])
    said = weigh_user_interests(INTERACTIONS.empty(), item_interests=CONTENT, text_interests=texts, config=InterestConfig(), as_of=AS_OF)
    users = known_users(BEHAVIOUR, user_interests=said).ids.to_pylist()
    assert "searcher" in users
    assert named(build(texts=texts, users=[*USER_IDS, *users]), HAS_INTEREST)["searcher", "tag:steel"] == 1.0


def test_knowledge_edges_keep_their_relation_and_types() -> None:
    graph = build()
    assert named(graph, EdgeType("item", "goes_with", "item")) == {("hat", "sock"): 1.0}
    assert named(graph, EdgeType("item", "made_by", "entity")) == {("hat", "Acme"): 1.0, ("sock", "Acme"): 1.0}
    assert named(graph, EdgeType("entity", "based_in", "entity")) == {("Acme", "上海"): 1.0}
    assert graph.vocabularies["entity"].ids.to_pylist() == ["Acme", "上海"]


def test_nodes_without_edges_stay() -> None:
    graph = build()
    assert graph.vocabularies["user"] == Vocabulary("user", USER_IDS)
    assert graph.vocabularies["item"] == Vocabulary("item", ITEM_IDS)
    assert graph.adjacency(INTERACTED).shape == (3, 4)


def test_faint_edges_are_pruned_and_their_nodes_stay() -> None:
    graph = build(min_edge_weight=0.7)
    assert named(graph, INTERACTED).keys() == {("u", "hat"), ("v", "茶")}
    assert named(graph, ABOUT).keys() == {("hat", "tag:wool"), ("sock", "tag:红"), ("pan", "tag:steel")}
    assert graph.num_nodes("interest") == build().num_nodes("interest") == 3


def test_behaviour_is_faint_beside_the_users_strongest() -> None:
    rows = [
        ("u", "hat", 4, 1),
        ("u", "pan", 0.01, 1),
        ("u", "sock", -4, 400),
        ("v", "pan", 0.02, 1),
        ("w", "茶", 1, 4000),
        ("v", "sock", 0.02, 1),
    ]
    graph = build(make_interactions(rows), min_edge_weight=0.01)
    assert named(graph, INTERACTED).keys() == {("u", "hat"), ("v", "pan"), ("v", "sock"), ("w", "茶")}
    assert DISLIKED not in graph.edges


def test_the_last_edge_of_an_item_is_never_too_faint() -> None:
    graph = build(make_interactions([("u", "hat", 4, 1), ("u", "pan", 0.01, 1), ("u", "sock", -4, 400)]), min_edge_weight=0.5)
    assert named(graph, INTERACTED).keys() == {("u", "hat"), ("u", "pan")}
    assert named(graph, DISLIKED).keys() == {("u", "sock")}


def test_likes_and_dislikes_that_cancel_are_no_edge() -> None:
    graph = build(make_interactions([("u", "hat", 0.1, 5), ("u", "hat", 0.2, 5), ("u", "hat", -0.3, 5), ("v", "pan", 0, 1)]))
    assert INTERACTED not in graph.edges
    assert DISLIKED not in graph.edges


def test_edges_are_sorted_and_above_nothing() -> None:
    for edges in build().edges.values():
        order = np.lexsort((edges.target_index, edges.source_index))
        np.testing.assert_array_equal(order, np.arange(len(edges)))
        assert (edges.weight > 0).all()
        assert edges.weight.dtype == np.float32
        assert edges.source_index.dtype == edges.target_index.dtype == np.int64


def test_an_edge_outlives_its_weight_however_old() -> None:
    """2,000 half-lives are 2^-2000, nothing in any number type; what was liked is still liked."""
    ancient = make_interactions([("u", "hat", 2, 20_000), ("u", "pan", -3, 20_000), ("v", "茶", 1, 20_000), ("v", "茶", -2, 20_000)])
    graph = build(ancient)
    assert set(named(graph, INTERACTED)) == {("u", "hat")}
    assert set(named(graph, DISLIKED)) == {("u", "pan"), ("v", "茶")}


def test_friends_are_joined_once_where_both_are_users() -> None:
    given = make_knowledge(
        [("v", "Friend", "u"), ("u", "friend", "v"), ("u", "friend", "u"), ("u", "friend", "nobody yet"), (" w ", "friend", "u")]
    )
    friends = build_knowledge_graph(make_items([{"item_id": item} for item in ITEM_IDS]), raw_knowledge=given)
    assert named(build(knowledge_graph=friends), FRIEND) == {("u", "v"): 1.0, ("u", "w"): 1.0}
    assert build(knowledge_graph=friends).num_nodes("entity") == 0


def test_a_friends_id_that_is_an_items_too_is_a_friend() -> None:
    friends = build_knowledge_graph(
        make_items([{"item_id": "hat"}, {"item_id": "u"}]), raw_knowledge=make_knowledge([("hat", "friend", "u")])
    )
    assert friends.select(["head_type", "tail_type", "tail_kind"]).to_pylist() == [
        {"head_type": "user", "tail_type": "user", "tail_kind": "user"}
    ]


def test_items_alike_in_meaning_and_interests_within_interests_are_joined_when_asked_for() -> None:
    points = make_points(
        [
            {"interest_id": "tag:wool", "parent_id": "tag:红"},
            {"interest_id": "tag:红"},
            {"interest_id": "tag:steel", "parent_id": "tag:gone"},
        ]
    )
    vectors_ID = np.array([[1, 0, 0], [0, 1, 0], [1, 0.1, 0], [0, 0, 1]], dtype=np.float32)
    interests = weigh_user_interests(BEHAVIOUR, item_interests=CONTENT, text_interests=NO_TEXTS, config=InterestConfig(), as_of=AS_OF)
    graph, pruned = build_with_report(
        BEHAVIOUR,
        items=Vocabulary("item", ITEM_IDS),
        users=Vocabulary("user", USER_IDS),
        item_interests=CONTENT,
        user_interests=interests,
        knowledge_graph=KNOWLEDGE,
        config=GraphConfig(half_life_days=10, similar_noise_quantile=0.8),
        as_of=AS_OF,
        interest_points=points,
        text_ID=vectors_ID,
    )
    assert named(graph, WITHIN) == {("tag:wool", "tag:红"): 1.0}
    assert named(graph, SIMILAR).keys() == {("hat", "sock")}
    assert SIMILAR not in build().edges
    assert WITHIN not in build().edges
    assert pruned.num_rows == 0  # what sock is about most, 红, is no whole of what it is about less


def test_order_of_rows_does_not_matter() -> None:
    expected = build()
    for seed in range(3):
        again = build(
            shuffled(BEHAVIOUR, seed=seed), item_interests=shuffled(CONTENT, seed=seed), knowledge_graph=shuffled(KNOWLEDGE, seed=seed)
        )
        assert again.vocabularies == expected.vocabularies
        assert list(again.edges) == list(expected.edges)
        for edge_type, edges in expected.edges.items():
            for name in ("source_index", "target_index", "weight"):
                np.testing.assert_array_equal(getattr(again.edges[edge_type], name), getattr(edges, name))


@pytest.mark.parametrize(("items", "users"), [([], []), (["only"], ["one"]), (ITEM_IDS, [])])
def test_empty_tables_give_a_graph_without_edges(items: list[str], users: list[str]) -> None:
    graph = build(
        INTERACTIONS.empty(), item_interests=ITEM_INTERESTS.empty(), knowledge_graph=KNOWLEDGE_GRAPH.empty(), items=items, users=users
    )
    assert graph.edges == {}
    assert graph.num_nodes("item") == len(items)
    assert graph.num_nodes("user") == len(users)
    assert graph.num_nodes("interest") == graph.num_nodes("entity") == 0


def test_the_future_is_refused() -> None:
    with pytest.raises(LeakageError, match="1 row"):
        build_interest_graph(
            make_interactions([("u", "hat", 1, 0)]),
            items=Vocabulary("item", ITEM_IDS),
            users=Vocabulary("user", USER_IDS),
            item_interests=CONTENT,
            user_interests=USER_INTERESTS.empty(),
            knowledge_graph=KNOWLEDGE,
            config=GraphConfig(),
            as_of=AS_OF,
        )


def test_strangers_are_named() -> None:
    with pytest.raises(UnknownIdError, match="unknown user: 'v'"):
        build(users=["u"])
    with pytest.raises(UnknownIdError, match="unknown item: '茶'"):
        build(items=["hat", "pan", "sock"])
    with pytest.raises(UnknownIdError, match="unknown item: 'sock'"):
        build(items=["hat", "pan", "茶"])


def test_no_knowledge_at_all() -> None:
    items = make_items([{"item_id": item} for item in ITEM_IDS])
    graph = build(knowledge_graph=build_knowledge_graph(items, raw_knowledge=RAW_KNOWLEDGE.empty()))
    assert set(graph.edges) == {INTERACTED, DISLIKED, HAS_INTEREST, ABOUT}
