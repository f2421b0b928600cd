"""Nodes for a text: words and meaning, each by its own score."""

import numpy as np
import pytest

from ml.contracts.behaviour import ITEMS, RAW_KNOWLEDGE
from ml.contracts.meaning import ITEM_EMBEDDINGS
from ml.errors import EmbeddingSpaceError
from ml.knowledge.matching import graph_nodes, jaccard, match_nodes
from ml.knowledge.triples import build_knowledge_graph
from tests.ml.interests.catalogues import SPACE, embed, make_items, make_knowledge

ROWS = [
    {"item_id": "a", "title": "Trail shoe", "attributes": '{"brand": "Acme Boots"}'},
    {"item_id": "b", "title": "Road shoe", "attributes": '{"brand": "Acme Boots"}'},
    {"item_id": "c", "title": "绿茶", "attributes": '{"brand": "山水"}'},
]
VECTORS = np.eye(3, dtype=np.float32)


def match(text: str, vector, *, k: int = 10, space: str = SPACE) -> list[dict]:
    items = make_items(ROWS)
    graph = build_knowledge_graph(items, raw_knowledge=make_knowledge([("Acme Boots", "based in", "Rome")]))
    return match_nodes(
        text,
        nodes=graph_nodes(graph, items=items),
        knowledge_graph=graph,
        item_embeddings=embed(items, vectors_ID=VECTORS),
        query_vector=np.asarray(vector, dtype=np.float32),
        space_id=space,
        k=k,
    )


def test_jaccard_is_of_words_with_plurals_folded() -> None:
    found = jaccard("acme boots shoes", names=make_items([{"item_id": str(n), "title": t} for n, t in enumerate(TITLES)]).column("title"))
    np.testing.assert_allclose(found, [2 / 3, 1 / 4, 1.0, 0.0, 0.0, 0.0], atol=1e-6)


TITLES = ["Acme Boot", "trail shoe", "shoes, BOOTS & acme", "绿茶", "", "!!!"]


def test_words_lead_where_meaning_says_nothing() -> None:
    first, second = match("acme boots", [0, 0, 0], k=2)
    assert {first["name"], second["name"]} == {"Acme Boots"}
    assert (first["jaccard"], first["cosine"]) == (1.0, 0.0)


def test_meaning_leads_where_words_say_nothing() -> None:
    found = {row["node_id"]: row for row in match("etwas anderes", [1, 1, 0])}
    assert found["brand:acme boots"]["cosine"] == pytest.approx(1.0)
    assert found["a"]["cosine"] == pytest.approx(0.5**0.5)
    assert found["Rome"]["cosine"] == 0.0
    assert match("etwas anderes", [1, 1, 0])[0]["node_id"] == "brand:acme boots"


def test_chinese_words() -> None:
    assert match("绿茶", [0, 0, 0], k=1)[0]["node_id"] == "c"


def test_two_spaces_never_meet() -> None:
    with pytest.raises(EmbeddingSpaceError):
        match("acme", [1, 0, 0], space="another")


def test_an_empty_graph_has_no_nodes() -> None:
    graph = build_knowledge_graph(ITEMS.empty(), raw_knowledge=RAW_KNOWLEDGE.empty())
    nodes = graph_nodes(graph, items=ITEMS.empty())
    query = np.ones(3, dtype=np.float32)
    empty = ITEM_EMBEDDINGS.empty()
    assert match_nodes("x", nodes=nodes, knowledge_graph=graph, item_embeddings=empty, query_vector=query, space_id=SPACE, k=3) == []
