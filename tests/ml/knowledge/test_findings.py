"""What is wrong with given triples is said, each kind once, and the good rows go on."""

from ml.contracts.behaviour import ITEMS, RAW_KNOWLEDGE
from ml.knowledge.findings import knowledge_findings
from ml.knowledge.triples import build_knowledge_graph
from tests.ml.interests.catalogues import make_items, make_knowledge, shuffled

CLEAN = [("a", "made by", "Acme"), ("a", "sequel of", "b"), ("Acme", "based in", "上海")]
ITEMS_AB = make_items([{"item_id": "a"}, {"item_id": "b"}])
DIRTY = [
    *CLEAN,
    ("", "made by", "Acme"),
    ("a", "made by", "  "),
    ("x", "same as", "x"),
    ("x", "--", "y"),
    ("a", "Made-By", "Acme"),
    ("b", "sequel of", "zzz"),
    ("b", "made by", "ACME "),
    ("b", "made by", "Café Noir"),
    ("a", "made by", "cafe-noir"),
]


def said(triples, items=ITEMS_AB) -> list[str]:
    return [str(finding) for finding in knowledge_findings(make_knowledge(triples), items=items)]


def test_clean_triples_and_none_at_all() -> None:
    assert said(CLEAN) == []
    assert knowledge_findings(RAW_KNOWLEDGE.empty(), items=ITEMS.empty()) == []


def test_every_fault_is_named_with_its_place_and_mend() -> None:
    found = said(DIRTY)
    assert len(found) == 6
    empty, loop, nameless, repeated, mixed, near = found
    assert empty.startswith("2 triple(s): head or tail is empty; left out: kg.csv row 4: '' 'made_by' 'Acme'; kg.csv row 5")
    assert loop.startswith("1 triple(s): head and tail are the same; left out: kg.csv row 6")
    assert nameless.startswith("1 triple(s): the relation has no letter; called related: kg.csv row 7")
    assert repeated.startswith("1 triple(s): said before; counted once: kg.csv row 8")
    assert mixed.startswith("1 relation(s): lead to items and to entities: sequel_of: 1 of 2 tails are items")
    assert near.startswith("2 name(s): written in several ways, each a node of its own: ACME | Acme; Café Noir | cafe-noir")
    assert all("mend: " in line for line in found)


def test_the_good_rows_go_on() -> None:
    graph = build_knowledge_graph(ITEMS_AB, raw_knowledge=make_knowledge(DIRTY))
    assert graph.num_rows == len(DIRTY) - 2 - 1 - 1
    assert not {"", "  "} & set(graph.column("head").to_pylist() + graph.column("tail").to_pylist())


def test_only_the_first_few_of_many_are_shown_in_any_order() -> None:
    many = make_knowledge([(f"n{row}", "near", f"n{row}") for row in range(1000)])
    (found,) = knowledge_findings(many, items=ITEMS_AB)
    assert "and 995 more" in str(found)
    assert knowledge_findings(shuffled(many, seed=1), items=ITEMS_AB) == [found]
