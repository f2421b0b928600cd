"""A question's message on graphs small enough to know what arrives."""

import numpy as np
import pyarrow as pa
import pytest

from ml.config.pipeline import QuestionConfig
from ml.graph.interest_graph import NODE_TYPES, InterestGraph
from ml.ids import Vocabulary
from ml.ranking.question_graph import build_question_graph, pass_question

PLAIN = QuestionConfig(graph_weight=1.0, num_layers=1, restart=0.0, gate_power=1.0, near_weight=0.0)
FAR = np.array([0.0, 1.0], dtype=np.float32)


@pytest.fixture
def build(make_graph, make_names, tables):
    """Edges, item vectors and names as a question graph; every item is a node, with edges or not."""

    def make(edges, *, vectors, interests=None, entities=None, interest_vectors=None):
        graph = make_graph(edges, nodes=[f"item:{item}" for item in vectors])
        return build_question_graph(
            graph,
            item_embeddings=tables.item_embeddings(vectors),
            interest_points=tables.interest_points(interests or {}, vectors=interest_vectors),
            names=make_names(item={item: item for item in vectors}, interest=interests or {}, entity=entities or {}),
        )

    return make


def arrived(graph, text, *, vector=FAR, config=PLAIN):
    passed = pass_question(graph, np.array(vector, dtype=np.float32), text=text, config=config)
    return dict(zip(graph.vocabularies["item"].ids.to_pylist(), passed.arrived_I.tolist(), strict=True))


STAR = [
    ("item:a", "person", "entity:p"),
    ("item:b", "person", "entity:p"),
    ("item:b", "person", "entity:q"),
    ("item:c", "person", "entity:q"),
]
UNIT = {"a": [1.0, 0.0], "b": [1.0, 0.0], "c": [1.0, 0.0], "lonely": [1.0, 0.0]}
PEOPLE = {"p": "Ang Lee", "q": "Tony Leung"}


def test_one_layer_is_the_normalised_edge_over_the_largest(build) -> None:
    # D^-1/2 W D^-1/2: a-p has degrees 1 and 2, b-p has 2 and 2.
    found = arrived(build(STAR, vectors=UNIT, entities=PEOPLE), "Ang Lee")
    assert found == pytest.approx({"a": 1.0, "b": (1 / 2) / (1 / np.sqrt(2)), "c": 0.0, "lonely": 0.0})


def test_two_layers_walk_over_what_a_question_does_not_name_only_as_far_as_it_is_alike(build) -> None:
    edges = [("item:a", "brand", "entity:acme"), ("entity:acme", "made_in", "entity:japan")]
    graph = build(edges, vectors={"a": [1.0, 0.0], "b": [0.0, 1.0]}, entities={"acme": "Acme", "japan": "Japan"})
    two = PLAIN.model_copy(update={"num_layers": 2})
    assert arrived(graph, "Japan", vector=[0.8, 0.6], config=two) == pytest.approx({"a": 1.0, "b": 0.0})
    assert arrived(graph, "Japan", vector=[0.8, 0.6])["a"] == 0.0
    # Acme's vector is its item's, at a right angle to this question: it passes nothing on.
    assert arrived(graph, "Japan", vector=[0.0, 1.0], config=two)["a"] == 0.0


def test_a_name_counts_by_its_share_of_the_question(build) -> None:
    graph = build(STAR, vectors=UNIT, entities=PEOPLE)
    assert arrived(graph, "Ang Lee xxxxxx")["a"] == pytest.approx(0.5)
    assert arrived(graph, "Slang Leeway")["a"] == 0.0


def test_what_matches_nothing_and_what_has_no_edge_get_exactly_nothing(build) -> None:
    graph = build(STAR, vectors=UNIT, entities=PEOPLE)
    assert set(arrived(graph, "something else").values()) == {0.0}
    assert arrived(graph, "Ang Lee", config=QuestionConfig())["lonely"] == 0.0
    assert set(arrived(graph, "", vector=[0.0, 0.0], config=QuestionConfig()).values()) == {0.0}


def test_near_nodes_speak_only_for_what_no_name_covers(build) -> None:
    far = {f"x{number}": [-1.0, 0.2] for number in range(6)}
    points = {"tag:hiking": "hiking", **{f"tag:{name}": name for name in far}}
    about = [("item:a", "about", "interest:tag:hiking"), *((f"item:{name}", "about", f"interest:tag:{name}") for name in far)]
    vectors = {"tag:hiking": [1.0, 0.0], **{f"tag:{name}": vector for name, vector in far.items()}}
    graph = build(about, vectors={"a": [1.0, 0.0], **far}, interests=points, interest_vectors=vectors)
    config = PLAIN.model_copy(update={"near_weight": 0.5})
    near = arrived(graph, "walks in the hills", vector=[1.0, 0.0], config=config)
    assert 0 < near["a"] <= 0.5
    assert {near[name] for name in far} == {0.0}
    assert arrived(graph, "hiking", vector=[1.0, 0.0], config=config)["a"] == pytest.approx(1.0)
    silent = config.model_copy(update={"num_near": 0})
    assert arrived(graph, "walks in the hills", vector=[1.0, 0.0], config=silent)["a"] == 0.0


def test_names_in_chinese(build) -> None:
    graph = build([("item:a", "演员", "entity:person:x")], vectors={"a": [1.0, 0.0], "b": [1.0, 0.0]}, entities={"person:x": "梁朝伟"})
    assert arrived(graph, "梁朝伟") == pytest.approx({"a": 1.0, "b": 0.0})
    assert arrived(graph, "梁朝伟的电影")["a"] == pytest.approx(0.5)


def test_other_ids_in_another_order_get_the_same(build) -> None:
    rng = np.random.default_rng(3)
    items, entities = [f"i{number}" for number in range(12)], [f"e{number}" for number in range(6)]
    vectors = {item: rng.normal(size=3).tolist() for item in items}
    pairs = sorted({(str(rng.choice(items)), str(rng.choice(entities))) for _ in range(30)})

    def found(rename):
        graph = build(
            [(f"item:{rename(item)}", "has", f"entity:{rename(entity)}") for item, entity in pairs],
            vectors={rename(item): vector for item, vector in vectors.items()},
            entities={rename(entity): f"name {entity}" for entity in entities},
        )
        return arrived(graph, "name e1 or name e4", vector=[0.3, 0.5, 0.1], config=QuestionConfig())

    plain, turned = found(str), found(lambda name: name[::-1] + "z")
    assert max(plain.values()) > 0
    assert turned == pytest.approx({item[::-1] + "z": value for item, value in plain.items()}, abs=1e-6)


def test_the_same_question_gives_the_same_bits(build) -> None:
    graph = build(STAR, vectors=UNIT, entities=PEOPLE)
    first, second = (pass_question(graph, FAR, text="Ang Lee", config=QuestionConfig()).arrived_I for _ in range(2))
    assert first.tobytes() == second.tobytes()


def test_two_nodes_of_one_name_and_the_edge_twice(build) -> None:
    once = build(STAR, vectors=UNIT, entities=PEOPLE)
    twice = build([*STAR, STAR[0]], vectors=UNIT, entities={**PEOPLE, "q": "Ang Lee"})
    assert arrived(once, "Ang Lee")["a"] == 1.0
    found = arrived(twice, "Ang Lee")
    assert found["c"] > 0
    assert np.isfinite(list(found.values())).all()


def test_users_are_left_out(build) -> None:
    edges = [*STAR, ("user:u", "interacted", "item:lonely"), ("user:u", "interacted", "item:a")]
    assert arrived(build(edges, vectors=UNIT, entities=PEOPLE), "Ang Lee", config=QuestionConfig())["lonely"] == 0.0


def test_an_empty_catalogue(make_names, tables) -> None:
    graph = build_question_graph(
        InterestGraph({kind: Vocabulary(kind, []) for kind in NODE_TYPES}, {}),
        item_embeddings=tables.item_embeddings({}),
        interest_points=tables.interest_points({}),
        names=make_names(),
    )
    assert pass_question(graph, FAR, text="anything", config=QuestionConfig()).arrived_I.shape == (0,)
    assert pa.array(graph.keys, pa.string()).null_count == 0
