"""Communities are the groups that are there, the same each time, whole, and called by what they are about."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from scipy.sparse.csgraph import connected_components

from ml.config.pipeline import CommunityConfig
from ml.contracts.meaning import COMMUNITIES, COMMUNITY_MEMBERS
from ml.graph.communities import MEMBER_TYPES, between_communities, communities_of, modularity, partition
from ml.graph.community_tables import UNNAMED, community_tables, unique_names
from ml.graph.edge_types import ABOUT, DISLIKED, HAS_INTEREST, INTERACTED
from ml.graph.interest_graph import Edges, InterestGraph
from tests.ml.graph.graphs import edges_of, graph_of
from tests.ml.interests.catalogues import make_points

CONFIG = CommunityConfig()
GROUPS = {"tea": ("茶", "pot"), "run": ("shoe", "sock"), "code": ("desk", "key")}


def three_groups() -> InterestGraph:
    """Three groups of 6 users and 6 items, each with two interests of its own; one like across; somebody and something alone."""
    liked, about, has = [("tea-u0", "run-i0", 0.1)], [], []
    for group, interests in GROUPS.items():
        liked += [(f"{group}-u{user}", f"{group}-i{item}", 1.0) for user in range(6) for item in range(6) if user != item]
        about += [(f"{group}-i{item}", f"tag:{interests[item % 2]}", 1.0) for item in range(6)]
        about += [(f"{group}-i{item}", "tag:goods", 0.1) for item in range(6)]
        has += [(f"{group}-u{user}", f"tag:{interests[user % 2]}", 1.0) for user in range(6)]
    return graph_of(
        {INTERACTED: liked, ABOUT: about, HAS_INTEREST: has}, alone={"user": ["alone"], "item": ["unmet"], "interest": ["tag:unheld"]}
    )


POINTS = make_points([{"interest_id": f"tag:{name}"} for names in [*GROUPS.values(), ["goods", "unheld"]] for name in names])


def tables_of(graph: InterestGraph, config: CommunityConfig = CONFIG) -> tuple[pa.Table, pa.Table]:
    found = partition(graph, resolution=config.resolution, seed=config.seed)
    return community_tables(graph, found, interest_points=POINTS, config=config)


def test_three_groups_are_three_communities_of_all_three_types() -> None:
    graph = three_groups()
    labels = communities_of(graph, resolution=1.0, seed=7)
    assert set(labels) == set(MEMBER_TYPES)
    for node_type in ("user", "item"):
        ids = graph.vocabularies[node_type].ids.to_pylist()
        by_label = {
            label: {node.partition("-")[0] for node, found in zip(ids, labels[node_type], strict=True) if found == label}
            for label in range(3)
        }
        assert sorted(map(sorted, by_label.values())) == [["code"], ["run"], ["tea"]]
        assert labels[node_type][[not node.startswith(tuple(GROUPS)) for node in ids]].tolist() == [-1]


def test_names_come_from_what_the_items_are_about() -> None:
    communities, members = tables_of(three_groups())
    names = communities.column("name").to_pylist()
    assert {frozenset(name.split(", ")) for name in names} == {frozenset(pair) for pair in GROUPS.values()}
    assert len(set(names)) == 3
    COMMUNITIES.conform(communities)
    COMMUNITY_MEMBERS.conform(members)
    assert communities.column("num_items").to_pylist() == communities.column("num_users").to_pylist() == [6, 6, 6]
    assert sum(communities.column("num_interests").to_pylist()) == 7  # goods belongs somewhere too
    assert members.num_rows == 18 + 18 + 7
    assert set(members.column("community_id").to_pylist()) == set(communities.column("community_id").to_pylist())
    for row in communities.to_pylist():
        assert row["interest_scores"] == sorted(row["interest_scores"], reverse=True)
        assert row["interest_scores"][0] > 0
        assert "tag:goods" not in row["interest_ids"]  # as usual outside as inside


@pytest.mark.parametrize(("min_support", "is_told"), [(1, True), (2, False)])
def test_what_too_few_items_are_about_names_no_community(min_support: int, is_told: bool) -> None:
    graph = three_groups()
    every, rare = graph.edges[ABOUT], edges_of([("tea-i0", "tag:unheld", 1.0)], ABOUT, graph.vocabularies)
    about = Edges(*(np.append(getattr(every, name), getattr(rare, name)) for name in ("source_index", "target_index", "weight")))
    graph = replace(graph, edges=graph.edges | {ABOUT: about})
    communities, _ = tables_of(graph, CommunityConfig(min_support=min_support))
    told = [interest for interests in communities.column("interest_ids").to_pylist() for interest in interests]
    assert ("tag:unheld" in told) == is_told


def test_ids_are_members_and_stay_when_rows_are_shuffled() -> None:
    communities, members = tables_of(three_groups())
    held = dict(zip(members.column("node_id").to_pylist(), members.column("community_id").to_pylist(), strict=True))
    for community_id in communities.column("community_id").to_pylist():
        node_type, _, node_id = community_id.partition(":")
        assert node_type == "item"
        assert held[node_id] == community_id
    graph = three_groups()
    draw = np.random.default_rng(0)
    shuffled = {}
    for known, edges in graph.edges.items():
        order = draw.permutation(len(edges))
        shuffled[known] = replace(
            edges, source_index=edges.source_index[order], target_index=edges.target_index[order], weight=edges.weight[order]
        )
    assert tables_of(InterestGraph(graph.vocabularies, shuffled))[0].equals(communities)


def random_graph(seed: int = 0) -> InterestGraph:
    draw = np.random.default_rng(seed)
    liked = {(f"u{draw.integers(300)}", f"i{draw.integers(200)}") for _ in range(1500)}
    about = {(f"i{draw.integers(200)}", f"tag:{draw.integers(40)}") for _ in range(400)}
    return graph_of(
        {INTERACTED: [(*pair, float(draw.random()) + 0.1) for pair in sorted(liked)], ABOUT: [(*pair, 1.0) for pair in sorted(about)]}
    )


def test_fitting_again_in_one_process_gives_the_same() -> None:
    graph = random_graph()
    first = communities_of(graph, resolution=1.0, seed=7)
    for _ in range(3):
        again = communities_of(graph, resolution=1.0, seed=7)
        assert all(np.array_equal(first[node_type], again[node_type]) for node_type in MEMBER_TYPES)


def test_another_process_gives_the_same(repository) -> None:
    program = (
        "import hashlib; from tests.ml.graph.test_communities import random_graph; from ml.graph.communities import communities_of;"
        "found = communities_of(random_graph(), resolution=1.0, seed=7);"
        "print(hashlib.sha256(b''.join(found[kind].tobytes() for kind in sorted(found))).hexdigest())"
    )
    said = {
        subprocess.run([sys.executable, "-c", program], cwd=repository, capture_output=True, text=True, check=True).stdout for _ in range(2)
    }
    assert len(said) == 1


@pytest.mark.parametrize("seed", range(4))
def test_no_community_falls_into_pieces_and_chance_is_beaten(seed: int) -> None:
    found = partition(random_graph(seed), resolution=1.0, seed=seed)
    for label in range(found.num_communities):
        members = np.flatnonzero(found.label_N == label)
        assert connected_components(found.weight_NN[members][:, members], directed=False)[0] == 1
    drawn = replace(found, label_N=np.random.default_rng(seed).permutation(found.label_N))
    assert modularity(found, resolution=1.0) > modularity(drawn, resolution=1.0) + 0.1
    sizes = np.bincount(found.label_N[found.label_N >= 0])
    assert (np.diff(sizes) <= 0).all()


def test_modularity_by_hand_and_more_resolution_more_communities() -> None:
    graph = graph_of({INTERACTED: [("u", "a", 1.0), ("v", "b", 1.0)]})
    found = partition(graph, resolution=1.0, seed=7)
    assert found.num_communities == 2
    assert modularity(found, resolution=1.0) == pytest.approx(1 - 2 * 0.25)
    assert between_communities(found).toarray() == pytest.approx(np.eye(2))
    few, many = (partition(random_graph(), resolution=resolution, seed=7).num_communities for resolution in (0.5, 4.0))
    assert few < many


def test_a_relation_counts_the_same_however_large_its_weights() -> None:
    graph = random_graph()
    scaled = {known: replace(edges, weight=edges.weight * (1000 if known == ABOUT else 1)) for known, edges in graph.edges.items()}
    one, other = (communities_of(found, resolution=1.0, seed=7)["item"] for found in (graph, InterestGraph(graph.vocabularies, scaled)))
    np.testing.assert_array_equal(one, other)


def test_dislikes_join_nobody() -> None:
    graph = graph_of({DISLIKED: [("u", "a", 1.0)]})
    assert communities_of(graph, resolution=1.0, seed=7)["user"].tolist() == [-1]
    assert [table.num_rows for table in tables_of(graph)] == [0, 0]


def test_an_empty_graph_and_one_user_with_one_item() -> None:
    empty = partition(InterestGraph({}, {}), resolution=1.0, seed=7)
    assert (empty.num_communities, modularity(empty, resolution=1.0)) == (0, 0.0)
    assert [table.num_rows for table in community_tables(InterestGraph({}, {}), empty, interest_points=POINTS, config=CONFIG)] == [0, 0]
    communities, members = tables_of(graph_of({INTERACTED: [("u", "茶", 1.0)]}))
    assert communities.column("name").to_pylist() == [f"{UNNAMED} (item:茶)"]
    assert members.column("strength").to_pylist() == [1.0, 1.0]


def test_a_community_whose_items_say_nothing_is_called_by_its_users_interests() -> None:
    communities, _ = tables_of(graph_of({INTERACTED: [("u", "a", 1.0)], HAS_INTEREST: [("u", "tag:茶", 1.0)]}))
    assert communities.column("name").to_pylist() == ["茶"]


def test_themes_name_last() -> None:
    graph = graph_of({INTERACTED: [("u", "a", 1.0)], ABOUT: [("a", "theme:x", 1.0), ("a", "tag:wool", 0.5)]})
    points = make_points([{"interest_id": "theme:x", "name": "leaf / cup"}, {"interest_id": "tag:wool", "name": "wool"}])
    found = partition(graph, resolution=1.0, seed=7)
    assert community_tables(graph, found, interest_points=points, config=CONFIG)[0].column("name").to_pylist() == ["wool, leaf / cup"]


def test_names_are_unique_whatever_the_interests() -> None:
    named = [["a", "b", "c"], ["a", "b", "c"], ["a", "b"], [], [], ["a"]]
    names = unique_names(named, ids=[f"item:{number}" for number in range(6)])
    assert names == ["a, b", "a, b, c", "a, b (item:2)", f"{UNNAMED} (item:3)", f"{UNNAMED} (item:4)", "a"]
