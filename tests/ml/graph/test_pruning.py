"""What goes and what stays, by hand; and what must never go."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.config.pipeline import GraphConfig
from ml.graph.edge_types import ABOUT, DISLIKED, FRIEND, HAS_INTEREST, INTERACTED, SIMILAR, WITHIN
from ml.graph.hierarchy import within_edges
from ml.graph.interest_graph import EdgeType, InterestGraph
from ml.graph.pruning import REPORT, prune
from ml.ids import Vocabulary
from tests.ml.graph.graphs import graph_of, named
from tests.ml.interests.catalogues import make_points

CONFIG = GraphConfig()
LEVELS = [("socks", "clothes", 1.0), ("clothes", "goods", 1.0)]


def report_of(graph: InterestGraph, config: GraphConfig = CONFIG) -> list[tuple[str, str, int, int]]:
    return [(row["relation"], row["reason"], row["num_before"], row["num_removed"]) for row in prune(graph, config=config)[1].to_pylist()]


def test_a_clean_graph_stays_and_the_report_is_empty() -> None:
    graph = graph_of({INTERACTED: [("u", "a", 1.0), ("v", "b", 2.0)], ABOUT: [("a", "x", 0.5)]})
    pruned, report = prune(graph, config=CONFIG)
    assert named(pruned, INTERACTED) == {("u", "a"): 1.0, ("v", "b"): 2.0}
    assert report.schema == REPORT
    assert report.num_rows == 0
    assert prune(InterestGraph({}, {}), config=CONFIG)[0].edges == {}


def test_of_repeated_edges_the_strongest_stays() -> None:
    graph = graph_of({ABOUT: [("b", "x", 0.2), ("a", "x", 0.3), ("a", "x", 0.9), ("a", "x", 0.5)]})
    assert named(prune(graph, config=CONFIG)[0], ABOUT) == pytest.approx({("a", "x"): 0.9, ("b", "x"): 0.2})
    assert report_of(graph) == [("item -about-> interest", "repeated", 4, 2)]
    assert prune(graph, config=CONFIG)[1].column("share").to_pylist() == [0.5]


@pytest.mark.parametrize("known", [SIMILAR, FRIEND])
def test_a_symmetric_relation_keeps_one_direction(known: EdgeType) -> None:
    graph = graph_of({known: [("a", "b", 0.5), ("b", "a", 0.5), ("c", "a", 0.4), ("d", "d", 1.0)]})
    assert named(prune(graph, config=CONFIG)[0], known) == pytest.approx({("a", "b"): 0.5, ("c", "a"): 0.4})


def test_a_relation_that_is_not_known_as_symmetric_keeps_both() -> None:
    follows = EdgeType("entity", "follows", "entity")
    assert len(prune(graph_of({follows: [("a", "b", 1.0), ("b", "a", 1.0)]}), config=CONFIG)[0].edges[follows]) == 2


def test_an_ancestor_goes_where_a_descendant_is_held_at_least_as_strongly() -> None:
    held = [("hat", "goods", 0.4), ("hat", "socks", 0.4), ("pan", "clothes", 0.9), ("pan", "socks", 0.3), ("tea", "goods", 0.8)]
    graph = graph_of({ABOUT: held, HAS_INTEREST: [("u", "clothes", 0.1), ("u", "socks", 0.2)], WITHIN: LEVELS})
    pruned, _ = prune(graph, config=CONFIG)
    assert named(pruned, ABOUT).keys() == {("hat", "socks"), ("pan", "clothes"), ("pan", "socks"), ("tea", "goods")}
    assert named(pruned, HAS_INTEREST).keys() == {("u", "socks")}
    assert sorted(report_of(graph)) == [
        ("item -about-> interest", "implied by a part", 5, 1),
        ("user -has_interest-> interest", "implied by a part", 2, 1),
    ]
    kept, report = prune(graph, config=GraphConfig(prune_implied=False))
    assert len(kept.edges[ABOUT]) == 5
    assert report.num_rows == 0


def test_levels_in_a_circle_imply_nothing() -> None:
    points = make_points([
        {"interest_id": "a", "parent_id": "b"}, {"interest_id": "b", "parent_id": "a"},
        {"interest_id": "c", "parent_id": "a"}, {"interest_id": "d", "parent_id": "d"}, {"interest_id": "e", "parent_id": "gone"},
    ])  # fmt: skip
    edges = within_edges(points, interests=Vocabulary("interest", "abcde"))
    assert (edges.source_index.tolist(), edges.target_index.tolist()) == ([2], [0])


def test_same_edges_under_two_names_are_said_once_unless_there_are_few() -> None:
    many = [(f"i{number:02}", f"e{number % 3}", 1.0) for number in range(25)]
    made, sold, has_made = EdgeType("item", "made_by", "entity"), EdgeType("item", "sold_by", "entity"), EdgeType("entity", "makes", "item")
    back = [(entity, item, weight) for item, entity, weight in many]
    pruned, _ = prune(graph_of({sold: many, made: many, has_made: back}), config=CONFIG)
    assert set(pruned.edges) == {made}
    few, _ = prune(graph_of({sold: many[:5], made: many[:5]}), config=CONFIG)
    assert set(few.edges) == {made, sold}
    other, _ = prune(graph_of({sold: many[1:], made: many}), config=CONFIG)
    assert set(other.edges) == {made, sold}


def test_a_hub_keeps_its_strongest_and_nobody_loses_the_last() -> None:
    held = [(f"i{number}", "hub", 1.0 - number / 20) for number in range(10)] + [("i9", "own", 0.2), ("i8", "own", 0.9)]
    graph = graph_of({ABOUT: held})
    pruned, _ = prune(graph, config=GraphConfig(max_edges_per_node=3))
    # i3 to i7 have nothing else, i9's strongest is the hub; i8 has a stronger one and is beyond the hub's three.
    assert ("i8", "hub") not in named(pruned, ABOUT)
    assert len(pruned.edges[ABOUT]) == 11
    assert len(prune(graph, config=GraphConfig(max_edges_per_node=10))[0].edges[ABOUT]) == 12


@given(
    st.lists(st.tuples(st.sampled_from("uvw"), st.sampled_from("abc"), st.floats(1e-6, 10), st.booleans()), max_size=25), st.floats(0, 2)
)
@settings(max_examples=60, deadline=None)
def test_nobody_loses_their_last_behaviour_edge(rows, share) -> None:
    found = {
        known: sides
        for known, is_liked in ((INTERACTED, True), (DISLIKED, False))
        if (sides := [(user, item, weight) for user, item, weight, liked in rows if liked == is_liked])
    }
    graph = graph_of(found)
    pruned, report = prune(graph, config=GraphConfig(min_edge_weight=share, max_edges_per_node=1))
    for end in ("source_index", "target_index"):
        before, after = ({int(node) for edges in known.edges.values() for node in getattr(edges, end)} for known in (graph, pruned))
        assert before == after
    assert sum(map(len, graph.edges.values())) - sum(map(len, pruned.edges.values())) == sum(report.column("num_removed").to_pylist())


def test_pruning_twice_is_pruning_once_and_order_does_not_matter() -> None:
    draw = np.random.default_rng(0)
    rows = [(f"i{draw.integers(30)}", str(draw.choice(["socks", "clothes", "goods", "x"])), float(draw.random())) for _ in range(200)]
    graph = graph_of({ABOUT: rows, WITHIN: LEVELS})
    once, _ = prune(graph, config=GraphConfig(max_edges_per_node=20))
    again, report = prune(once, config=GraphConfig(max_edges_per_node=20))
    assert report.num_rows == 0
    assert named(again, ABOUT) == named(once, ABOUT)
    other, _ = prune(graph_of({ABOUT: rows[::-1], WITHIN: LEVELS}), config=GraphConfig(max_edges_per_node=20))
    assert named(other, ABOUT) == named(once, ABOUT)
