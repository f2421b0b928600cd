"""The numbers about a graph are those one would count by hand."""

import numpy as np
import pytest

from ml.graph.interest_graph import Edges, EdgeType, InterestGraph
from ml.graph.summary import summarise
from ml.ids import Vocabulary


def edges(*ends: tuple[int, int]) -> Edges:
    return Edges(np.array([end[0] for end in ends]), np.array([end[1] for end in ends]), np.ones(len(ends), dtype=np.float32))


def test_summary_by_hand() -> None:
    nodes = {"user": Vocabulary("user", "uvw"), "item": Vocabulary("item", "abc"), "interest": Vocabulary("interest", ["红"])}
    graph = InterestGraph(
        nodes,
        {
            EdgeType("user", "interacted", "item"): edges((0, 0), (0, 1), (1, 2)),
            EdgeType("item", "about", "interest"): edges((0, 0)),
        },
    )
    found = summarise(graph)
    assert found["nodes/user"] == 3
    assert found["nodes/entity"] == 0
    assert found["edges/user-interacted-item"] == 3
    assert found["degree/user/median"] == 1.0
    assert found["degree/user/max"] == 2.0
    assert found["degree/item/max"] == 2.0
    assert "degree/entity/max" not in found
    assert found["components"] == 3  # u with a, b and the interest; v with c; w alone
    assert found["largest_component_share"] == pytest.approx(4 / 7)
    assert found["isolated_share"] == pytest.approx(1 / 7)


def test_parallel_edges_are_one_link_and_many_degrees() -> None:
    nodes = {"user": Vocabulary("user", "u"), "item": Vocabulary("item", "a")}
    graph = InterestGraph(nodes, {EdgeType("user", f"r{number}", "item"): edges((0, 0)) for number in range(300)})
    found = summarise(graph)
    assert found["components"] == 1
    assert found["degree/user/max"] == 300


def test_an_empty_graph() -> None:
    assert summarise(InterestGraph({}, {})) == {
        "nodes/user": 0, "nodes/item": 0, "nodes/interest": 0, "nodes/entity": 0,
        "components": 0, "largest_component_share": 0.0, "isolated_share": 0.0,
    }  # fmt: skip
