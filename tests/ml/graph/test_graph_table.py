"""The graph survives its table, both ways."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.contracts.meaning import INTEREST_GRAPH
from ml.errors import UnknownIdError
from ml.graph.interest_graph import Edges, EdgeType, InterestGraph
from ml.graph.table import graph_from_table, graph_to_table
from ml.ids import Vocabulary
from tests.ml.interests.catalogues import shuffled

NODES = {
    "user": Vocabulary("user", ["u", "v", "甲"]),
    "item": Vocabulary("item", ["hat", "pan", "茶"]),
    "interest": Vocabulary("interest", ["tag:wool"]),
    "entity": Vocabulary("entity", ["Acme", "上海"]),
}
EDGE_TYPES = [
    EdgeType("user", "interacted", "item"),
    EdgeType("user", "disliked", "item"),
    EdgeType("item", "about", "interest"),
    EdgeType("item", "made_by", "entity"),
    EdgeType("entity", "made_by", "entity"),
]


def graph_of(pairs: dict[EdgeType, dict[tuple[int, int], float]]) -> InterestGraph:
    edges = {}
    for edge_type in sorted(pairs, key=lambda known: (known.source, known.relation, known.target)):
        ends = sorted(pairs[edge_type])
        weight = np.array([pairs[edge_type][end] for end in ends], dtype=np.float32)
        edges[edge_type] = Edges(np.array([end[0] for end in ends]), np.array([end[1] for end in ends]), weight)
    return InterestGraph(dict(NODES), edges)


def assert_same(left: InterestGraph, right: InterestGraph) -> None:
    assert left.vocabularies == right.vocabularies
    assert list(left.edges) == list(right.edges)
    for edge_type, edges in left.edges.items():
        for name in ("source_index", "target_index", "weight"):
            ours, theirs = getattr(edges, name), getattr(right.edges[edge_type], name)
            assert ours.dtype == theirs.dtype
            np.testing.assert_array_equal(ours, theirs)


@st.composite
def graphs(draw: st.DrawFn) -> InterestGraph:
    pairs: dict[EdgeType, dict[tuple[int, int], float]] = {}
    for edge_type in draw(st.lists(st.sampled_from(EDGE_TYPES), unique=True)):
        ends = st.tuples(st.integers(0, len(NODES[edge_type.source]) - 1), st.integers(0, len(NODES[edge_type.target]) - 1))
        pairs[edge_type] = draw(st.dictionaries(ends, st.floats(0.0009765625, 100, width=32), min_size=1))
    return graph_of(pairs)


@settings(max_examples=50, deadline=None)
@given(graphs(), st.integers(0, 100))
def test_round_trips_are_exact(graph: InterestGraph, seed: int) -> None:
    table = graph_to_table(graph)
    assert table.schema.equals(INTEREST_GRAPH.schema)
    assert_same(graph_from_table(shuffled(table, seed=seed), vocabularies=NODES), graph)
    assert graph_to_table(graph_from_table(table)).equals(table)


def test_rows_by_hand() -> None:
    table = graph_to_table(graph_of({EDGE_TYPES[0]: {(2, 2): 0.5}, EDGE_TYPES[3]: {(0, 1): 1.0}}))
    assert table.to_pylist() == [
        {"source_type": "item", "source_id": "hat", "relation": "made_by", "target_type": "entity", "target_id": "上海", "weight": 1.0},
        {"source_type": "user", "source_id": "甲", "relation": "interacted", "target_type": "item", "target_id": "茶", "weight": 0.5},
    ]


def test_without_vocabularies_nodes_are_those_with_edges() -> None:
    graph = graph_from_table(graph_to_table(graph_of({EDGE_TYPES[0]: {(2, 2): 0.5}})))
    assert graph.vocabularies["user"].ids.to_pylist() == ["甲"]
    assert graph.vocabularies["item"].ids.to_pylist() == ["茶"]
    assert graph.num_nodes("interest") == 0


def test_an_edge_of_a_stranger_is_refused() -> None:
    table = graph_to_table(graph_of({EDGE_TYPES[0]: {(2, 2): 0.5}}))
    with pytest.raises(UnknownIdError, match="unknown user: '甲'"):
        graph_from_table(table, vocabularies={"user": Vocabulary("user", ["u"])})


def test_no_edges() -> None:
    graph = graph_from_table(INTEREST_GRAPH.empty())
    assert graph.edges == {}
    assert graph_to_table(graph).num_rows == 0


def test_chunked_tables_are_read_whole() -> None:
    table = graph_to_table(graph_of({EDGE_TYPES[0]: {(0, 0): 0.5, (1, 1): 0.25, (2, 2): 1.0}}))
    chunked = pa.concat_tables([table.slice(0, 1), table.slice(1, 2)])
    assert_same(graph_from_table(chunked, vocabularies=NODES), graph_from_table(table, vocabularies=NODES))
