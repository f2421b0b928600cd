"""Paths of questions exist, and the words claim no more than they hold."""

import json

import numpy as np
import pytest

from ml.config.pipeline import QuestionConfig
from ml.ranking.paths import path_exists
from ml.ranking.query import Knowledge, answer_query
from ml.ranking.question_graph import build_question_graph

VECTORS = {"boot": [1.0, 0.0], "lamp": [0.0, 1.0], "pole": [0.8, 0.6], "tent": [0.6, 0.8]}
FAR = [f"tag:far {number}" for number in range(6)]
POINTS = {"tag:hiking": "hiking", "tag:home": "home", **{name: name for name in FAR}}
POINT_VECTORS = {"tag:hiking": [1.0, 0.1], "tag:home": [0.0, 1.0], **{name: [-1.0, 0.0] for name in FAR}}
ABOUT = [("boot", "tag:hiking", 1.0), ("pole", "tag:hiking", 0.6), ("pole", "tag:home", 0.8)]
KNOWN = [("item:lamp", "brand", "entity:acme"), ("item:tent", "sold_by", "entity:zhang"), ("entity:acme", "made_in", "entity:japan")]


@pytest.fixture
def ask(make_graph, make_names, tables):
    edges = [*((f"item:{item}", "about", f"interest:{interest}", weight) for item, interest, weight in ABOUT), *KNOWN]
    graph = make_graph(edges, nodes=[*(f"item:{item}" for item in VECTORS), *(f"interest:{name}" for name in FAR)])
    embeddings, points = tables.item_embeddings(VECTORS), tables.interest_points(POINTS, vectors=POINT_VECTORS)
    names = make_names(item={item: item for item in VECTORS}, interest=POINTS, entity={"acme": "Acme", "japan": "Japan", "zhang": "张译"})
    question_graph = build_question_graph(graph, item_embeddings=embeddings, interest_points=points, names=names)

    def run(vector, text, *, config=QuestionConfig(), knowledge=True, **options):  # noqa: B008
        answer = answer_query(
            np.array(vector, dtype=np.float32),
            space_id="s",
            item_embeddings=embeddings,
            interest_points=points,
            item_interests=tables.item_interests(ABOUT),
            k=4,
            text=text,
            knowledge=Knowledge(question_graph, config) if knowledge else None,
            **options,
        )
        assert json.loads(json.dumps(answer)) == answer
        for row in answer:
            assert not row["path"] or path_exists(graph, row["path"][2:])
            assert not row["path"] or row["path"][-1] == f"item:{row['item_id']}"
        return {row["item_id"]: row for row in answer}

    return run


def test_what_a_name_leads_to_comes_up_with_its_path(ask) -> None:
    found, plain = ask([0.9, 0.1], "Acme"), ask([0.9, 0.1], "Acme", knowledge=False)
    assert found["lamp"]["path"] == ["query", "names", "entity:acme", "brand", "item:lamp"]
    assert found["lamp"]["reason"] == "Brand: Acme, which you named"
    assert found["lamp"]["score"] == pytest.approx(plain["lamp"]["score"] + 0.4)
    assert found["lamp"]["similarity"] == plain["lamp"]["similarity"]
    assert found["boot"]["path"] == []
    assert found["boot"]["reason"] == plain["boot"]["reason"]


def test_two_steps_name_both_nodes(ask) -> None:
    lamp = ask([0.1, 0.9], "Japan")["lamp"]
    assert lamp["path"] == ["query", "names", "entity:japan", "made_in", "entity:acme", "brand", "item:lamp"]
    assert lamp["reason"] == "Brand: Acme, linked to Japan, which you named"


def test_a_near_node_is_not_said_to_be_named(ask) -> None:
    boot = ask([1.0, 0.1], "walks in the hills", config=QuestionConfig(num_near=1, near_weight=1.0), language="en")["boot"]
    assert boot["path"] == ["query", "is_near", "interest:tag:hiking", "about", "item:boot"]
    assert boot["reason"] == "About: hiking, which is close to what you asked for"


def test_chinese(ask) -> None:
    tent = ask([0.9, 0.1], "张译")["tent"]
    assert tent["path"] == ["query", "names", "entity:zhang", "sold_by", "item:tent"]
    assert tent["reason"] == "Sold by：张译，你提到了它"


def test_a_question_that_matches_nothing_is_answered_as_by_cosine_exactly(ask) -> None:
    config = QuestionConfig(near_weight=0.0)
    found, plain = ask([0.7, 0.3], "nothing known", config=config), ask([0.7, 0.3], "nothing known", knowledge=False)
    assert found == plain
    assert {item: row["score"] for item, row in found.items()} == {item: row["similarity"] for item, row in found.items()}


def test_weight_0_turns_it_off(ask) -> None:
    assert ask([0.9, 0.1], "Acme", config=QuestionConfig(graph_weight=0.0)) == ask([0.9, 0.1], "Acme", knowledge=False)


def test_a_graph_of_other_items_is_refused(ask, make_graph, make_names, tables) -> None:
    other = build_question_graph(
        make_graph([], nodes=["item:other"]),
        item_embeddings=tables.item_embeddings({"other": [1.0, 0.0]}),
        interest_points=tables.interest_points({}),
        names=make_names(),
    )
    with pytest.raises(ValueError, match="vocabulary"):
        answer_query(
            np.array([1.0, 0.0], dtype=np.float32),
            space_id="s",
            item_embeddings=tables.item_embeddings(VECTORS),
            interest_points=tables.interest_points({}),
            item_interests=tables.item_interests([]),
            k=1,
            knowledge=Knowledge(other, QuestionConfig()),
        )
