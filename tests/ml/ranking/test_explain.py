"""Reasons: literal sentences, and no path that is not in the graph."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.ranking.explain import Explainer, path_exists

TITLES = {"i1": "Trail boot", "i2": "Rain jacket", "i3": "Tent", "i4": "徒步杖", "i5": "Lamp", "i6": "Rug"}
INTERESTS = {"tag:hiking": "hiking", "tag:camping": "camping", "tag:登山": "登山"}
ENTITIES = {"brand:acme": "Acme", "country:us": "United States"}
WORLD = [
    ("user:u1", "interacted", "item:i1", 2.0),
    ("user:u1", "interacted", "item:i2", 1.0),
    ("user:u1", "has_interest", "interest:tag:hiking", 1.0),
    ("user:u1", "has_interest", "interest:tag:camping", 0.4),
    ("user:u1", "has_interest", "interest:tag:登山", 0.9),
    ("item:i3", "about", "interest:tag:camping", 0.9),
    ("item:i3", "about", "interest:tag:hiking", 0.2),
    ("item:i4", "about", "interest:tag:登山", 1.0),
    ("user:u2", "interacted", "item:i1", 1.0),
    ("user:u2", "interacted", "item:i5", 1.0),
    ("user:u3", "interacted", "item:i1", 1.0),
    ("user:u3", "interacted", "item:i5", 1.0),
    ("user:u3", "interacted", "item:i2", 1.0),
]


def ranked(*rows: tuple[str, ...]) -> pa.Table:
    """Rows of (user, item) or (user, item, rung)."""
    return pa.table(
        {
            "user_id": pa.array([row[0] for row in rows], pa.string()),
            "item_id": pa.array([row[1] for row in rows], pa.string()),
            "rung": pa.array([row[2] if len(row) > 2 else "personal" for row in rows], pa.string()),
        }
    )


@pytest.fixture
def explained(make_graph, make_names, tables):
    def run(edges, *rows, language="en", nodes=("item:i6",), **options):
        graph = make_graph(edges, nodes=nodes)
        names = make_names(item=TITLES, interest=INTERESTS, entity=ENTITIES)
        table = Explainer(graph, names=names, language=language, **options).explain(ranked(*rows))
        for path in table.column("path").to_pylist():
            assert path == [] or path_exists(graph, path)
        return list(zip(table.column("reason").to_pylist(), table.column("path").to_pylist(), strict=True))

    return run


def test_interest_with_the_largest_product_of_both_weights(explained, tables) -> None:
    evidence = tables.user_interests([("u1", "tag:camping", 0.4, ["i2", "i1"]), ("u1", "tag:hiking", 1.0, ["i1"])])
    # camping 0.4 x 0.9 beats hiking 1.0 x 0.2
    assert explained(WORLD, ("u1", "i3"), user_interests=evidence) == [
        (
            'Because you like camping (as in "Rain jacket"), and this item is about camping',
            ["user:u1", "has_interest", "interest:tag:camping", "about", "item:i3"],
        )
    ]


def test_interest_without_recorded_evidence_claims_none(explained) -> None:
    assert explained(WORLD, ("u1", "i3"))[0][0] == "Because you like camping, and this item is about camping"


def test_chinese_items_get_chinese_reasons(explained, tables) -> None:
    evidence = tables.user_interests([("u1", "tag:登山", 0.9, ["i1"])])
    expected = "因为你喜欢登山（比如“Trail boot”），而它也与登山有关"
    assert explained(WORLD, ("u1", "i4"), language="auto", user_interests=evidence)[0][0] == expected
    assert explained(WORLD, ("u1", "i3"), language="auto")[0][0].startswith("Because you like camping")
    assert explained(WORLD, ("u1", "i3"), language="zh")[0][0] == "因为你喜欢camping，而它也与camping有关"
    assert explained(WORLD, ("u1", "i4"), language="en")[0][0].startswith("Because you like 登山")


KNOWLEDGE = [
    ("user:u1", "interacted", "item:i1", 1.0),
    ("user:u1", "interacted", "item:i2", 2.0),
    ("item:i1", "made_by", "entity:brand:acme"),
    ("item:i3", "made_by", "entity:brand:acme"),
    *((f"item:i{number}", "country", "entity:country:us") for number in range(1, 7)),
]


def test_a_rare_shared_entity_explains_more_than_a_common_one(explained) -> None:
    # Both liked items share the country (1.3 in all), one the brand (1.0), but 10 of 206 items have the country and 2 the brand.
    edges = [
        ("user:u1", "interacted", "item:i1", 1.0),
        ("user:u1", "interacted", "item:i2", 0.3),
        *KNOWLEDGE[2:],
        *((f"item:x{number}", "country", "entity:country:us") for number in range(4)),
    ]
    assert explained(edges, ("u1", "i3"), nodes=[f"item:x{number}" for number in range(200)]) == [
        (
            'Because you liked "Trail boot": same made by, Acme',
            ["user:u1", "interacted", "item:i1", "made_by", "entity:brand:acme", "made_by", "item:i3"],
        )
    ]


def test_what_nearly_everything_shares_is_no_reason(explained) -> None:
    many = [("user:u1", "interacted", "item:i1"), *((f"item:i{number}", "country", "entity:country:us") for number in range(1, 12))]
    assert explained(many, ("u1", "i3"))[0][1] == []
    assert explained(many[:-1], ("u1", "i3"))[0][0] == 'Because you liked "Trail boot": same country, United States'


def test_of_several_liked_items_the_most_liked_is_named(explained) -> None:
    assert explained(KNOWLEDGE, ("u1", "i5"))[0] == (
        'Because you liked "Rain jacket": same country, United States',
        ["user:u1", "interacted", "item:i2", "country", "entity:country:us", "country", "item:i5"],
    )


def test_two_relations_to_one_entity_are_not_the_same(explained) -> None:
    edges = [
        ("user:u1", "interacted", "item:i1"),
        ("item:i1", "directed_by", "entity:brand:acme"),
        ("item:i3", "starring", "entity:brand:acme"),
    ]
    assert explained(edges, ("u1", "i3"))[0][1] == []


@pytest.mark.parametrize("edge", [("item:i1", "sequel_of", "item:i3"), ("item:i3", "sequel_of", "item:i1")])
def test_a_direct_edge_between_items_in_either_direction(explained, edge) -> None:
    assert explained([("user:u1", "interacted", "item:i1"), edge], ("u1", "i3")) == [
        (
            'Because you liked "Trail boot", which is linked to this item (sequel of)',
            ["user:u1", "interacted", "item:i1", "sequel_of", "item:i3"],
        )
    ]


def test_people_who_liked_the_same_with_their_number(explained) -> None:
    reason, path = explained(WORLD, ("u1", "i5"))[0]
    assert reason == 'Liked by 2 of the people who liked "Trail boot", as you did'
    assert path == ["user:u1", "interacted", "item:i1", "interacted", "user:u2", "interacted", "item:i5"]


def test_a_liked_item_that_everybody_likes_explains_less(explained) -> None:
    # Three likers of i5 like i1 and two like i2, but everybody likes i1.
    edges = [
        ("user:u1", "interacted", "item:i1"),
        ("user:u1", "interacted", "item:i2"),
        *((f"user:v{number}", "interacted", "item:i5") for number in range(3)),
        *((f"user:v{number}", "interacted", "item:i2") for number in range(2)),
        *((f"user:v{number}", "interacted", "item:i1") for number in range(30)),
    ]
    assert explained(edges, ("u1", "i5"))[0][0] == 'Liked by 2 of the people who liked "Rain jacket", as you did'


def test_no_path_says_how_many_like_it_or_only_invites(explained) -> None:
    assert explained(WORLD, ("u9", "i1"), ("u1", "i6"), ("u1", "unknown")) == [
        ("Popular: liked by 3 so far", []),
        ("Something different to try", []),
        ("Something different to try", []),
    ]


def test_the_popular_rung_has_no_path_even_where_there_is_one(explained) -> None:
    assert explained(WORLD, ("u1", "i5", "popular")) == [("Popular: liked by 2 so far", [])]


def test_own_words_explain_only_the_interest_rung_of_those_who_wrote(explained) -> None:
    found = explained(WORLD, ("u9", "i1", "interest"), ("u8", "i1", "interest"), ("u9", "i1", "personal"), writers=pa.array(["u9"]))
    assert [reason for reason, _ in found] == [
        "Close in meaning to what you wrote",
        "Popular: liked by 3 so far",
        "Popular: liked by 3 so far",
    ]


def test_an_item_is_never_its_own_reason(explained) -> None:
    # u1 has met i1; asked to explain it anyway, no path may go through i1 itself.
    edges = [("user:u1", "interacted", "item:i1"), ("item:i1", "made_by", "entity:brand:acme"), ("item:i1", "sequel_of", "item:i1")]
    assert explained(edges, ("u1", "i1")) == [("Popular: liked by 1 so far", [])]


def test_rows_keep_their_order_and_other_columns(make_graph, make_names) -> None:
    rows = ranked(("u1", "i5"), ("u9", "i1"), ("u1", "i3"), ("u1", "i6"), ("u1", "i4"))
    rows = rows.append_column("score", pa.array([1.0, 2.0, 3.0, 4.0, 5.0]))
    explainer = Explainer(make_graph(WORLD, nodes=["item:i6"]), names=make_names(item=TITLES, interest=INTERESTS), language="en")
    table = explainer.explain(rows)
    assert table.select(rows.column_names).equals(rows)
    assert [len(path) for path in table.column("path").to_pylist()] == [7, 0, 5, 0, 5]


def test_nothing_to_explain_and_an_empty_graph(explained) -> None:
    assert explained(WORLD) == []
    assert explained([], ("u1", "i1"), nodes=()) == [("Something different to try", [])]


def test_nameless_nodes_go_by_their_ids_and_long_titles_are_cut(make_graph, make_names) -> None:
    edges = [("user:u1", "interacted", "item:i1"), ("item:i1", "made_by", "entity:brand:x"), ("item:i3", "made_by", "entity:brand:x")]
    explainer = Explainer(make_graph(edges), names=make_names(item={"i1": "long " * 50}), language="en")
    reason = explainer.explain(ranked(("u1", "i3"))).column("reason")[0].as_py()
    assert reason.endswith("same made by, brand:x")
    assert "…" in reason
    assert len(reason) < 150


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 10_000), density=st.sampled_from([0.05, 0.3]))
def test_every_path_of_a_random_world_exists_and_starts_and_ends_right(make_graph, make_names, seed, density) -> None:
    rng = np.random.default_rng(seed)
    kinds = [
        ("user", "interacted", "item"),
        ("user", "has_interest", "interest"),
        ("item", "about", "interest"),
        ("item", "made_by", "entity"),
        ("item", "starring", "entity"),
        ("item", "sequel_of", "item"),
    ]
    sizes = {"user": 5, "item": 7, "interest": 4, "entity": 3}
    edges = [
        (f"{source}:{left}", relation, f"{target}:{right}", float(rng.random() + 0.1))
        for source, relation, target in kinds
        for left in range(sizes[source])
        for right in range(sizes[target])
        if rng.random() < density
    ]
    nodes = [f"{kind}:{number}" for kind, size in sizes.items() for number in range(size)]
    graph = make_graph(edges, nodes=nodes)
    rows = ranked(*((str(user), str(item)) for user in range(5) for item in range(7)))
    table = Explainer(graph, names=make_names(), language="auto").explain(rows)
    assert all(table.column("reason").to_pylist())
    shared = {
        (user, item)
        for user in range(5)
        for item in range(7)
        for interest in range(4)
        if {(f"user:{user}", "has_interest", f"interest:{interest}"), (f"item:{item}", "about", f"interest:{interest}")}
        <= {edge[:3] for edge in edges}
    }
    for row in table.to_pylist():
        path = row["path"]
        assert path == [] or path_exists(graph, path)
        assert path == [] or (path[0], path[-1]) == (f"user:{row['user_id']}", f"item:{row['item_id']}")
        assert (path[1:2] == ["has_interest"]) == ((int(row["user_id"]), int(row["item_id"])) in shared)
        assert path[2:-1].count(f"item:{row['item_id']}") == 0
        if path[3:4] == ["interacted"]:
            likers = [{edge[0] for edge in edges if edge[1:3] == ("interacted", item)} for item in (path[2], path[-1])]
            others = (likers[0] & likers[1]) - {path[0]}
            assert path[4] in others
            assert row["reason"].startswith(f"Liked by {len(others)} of")
