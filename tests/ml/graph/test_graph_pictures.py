"""The map of communities and the surroundings of a node: pictures of any graph, the same each time, strongest first."""

import warnings
from io import BytesIO

import numpy as np
import pyarrow as pa
import pytest
import scipy.sparse as sp
from matplotlib.image import imread

from ml.contracts.meaning import COMMUNITIES
from ml.errors import UnknownIdError
from ml.graph.community_picture import community_map, spring_layout
from ml.graph.edge_types import ABOUT, FRIEND, HAS_INTEREST, INTERACTED
from ml.graph.ego_picture import ego_picture, neighbours
from ml.graph.interest_graph import NODE_TYPES
from tests.ml.graph.graphs import graph_of


def communities_of(names: list[str]) -> pa.Table:
    columns = {
        "community_id": [f"item:{number}" for number in range(len(names))],
        "name": names,
        **{name: list(range(len(names))) for name in ("num_users", "num_items", "num_interests")},
        "interest_ids": [[]] * len(names),
        "interest_scores": [[]] * len(names),
        "cohesion": [0.5] * len(names),
    }
    return pa.table(columns).cast(COMMUNITIES.schema)


@pytest.mark.parametrize("names", [[], ["wool"], ["$5$", "登山鞋", "", "x" * 200], [f"name {row}" for row in range(80)]])
def test_any_communities_give_a_map_without_warnings(names: list[str]) -> None:
    joins = sp.random_array((len(names), len(names)), density=0.3, random_state=0) if names else sp.csr_array((0, 0))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        picture = community_map(communities_of(names), sp.csr_array(joins + joins.T))
    assert imread(BytesIO(picture)).shape == (800, 1100, 4)
    assert picture == community_map(communities_of(names), sp.csr_array(joins + joins.T))


def test_joined_discs_lie_nearer() -> None:
    joins = np.zeros((6, 6))
    joins[:3, :3] = joins[3:, 3:] = 1.0
    place = spring_layout(sp.csr_array(joins - np.diag(np.diag(joins))))
    distance = np.linalg.norm(place[:, None] - place[None], axis=2)
    assert distance[:3, :3].max() < distance[:3, 3:].min()
    assert np.isfinite(spring_layout(sp.csr_array((5, 5)))).all()


GRAPH = graph_of(
    {
        INTERACTED: [("u", "a", 3.0), ("u", "b", 1.0), ("v", "a", 1.0), ("w", "a", 2.0)],
        HAS_INTEREST: [("u", "tag:茶", 0.5), ("u", "tag:x", 0.25)],
        ABOUT: [("a", "tag:茶", 1.0)],
        FRIEND: [("u", "v", 1.0)],
    },
    alone={"user": ["alone"]},
)


def named(node_type: str, ids: pa.Array) -> pa.Array:
    return pa.array([f"{node_type} {identifier}" for identifier in ids.to_pylist()])


def test_every_relation_shows_its_strongest_first() -> None:
    found = neighbours(GRAPH, node_type="user", index=int(GRAPH.vocabularies["user"].positions(["u"])[0]))
    told = [
        (NODE_TYPES[kind], str(relation), strength)
        for kind, relation, strength in zip(found.type_N, found.relation_N, found.strength_N, strict=True)
    ]
    assert told[:3] == [("user", "friend", 1.0), ("item", "interacted", 1.0), ("interest", "has_interest", 1.0)]
    assert sorted(told[3:]) == [("interest", "has_interest", 0.5), ("item", "interacted", pytest.approx(1 / 3))]
    back = neighbours(GRAPH, node_type="item", index=0)
    assert {NODE_TYPES[kind] for kind in back.type_N} == {"user", "interest"}
    assert len(back) == 4


@pytest.mark.parametrize(("node_type", "node_id"), [("user", "u"), ("item", "a"), ("user", "alone"), ("interest", "tag:茶")])
def test_any_node_gives_a_picture_the_same_each_time(node_type: str, node_id: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        picture = ego_picture(GRAPH, node_type=node_type, node_id=node_id, names=named)
    assert imread(BytesIO(picture)).shape == (900, 1100, 4)
    assert picture == ego_picture(GRAPH, node_type=node_type, node_id=node_id, names=named)


def test_a_cap_and_a_stranger() -> None:
    assert ego_picture(GRAPH, node_type="user", node_id="u", names=named, max_neighbors=1) != ego_picture(
        GRAPH, node_type="user", node_id="u", names=named
    )
    with pytest.raises(UnknownIdError, match="unknown user: 'nobody'"):
        ego_picture(GRAPH, node_type="user", node_id="nobody", names=named)
