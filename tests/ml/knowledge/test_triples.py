"""Triples from tables and attributes: typed, spelled one way, each once."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as csv
import pytest

from ml.contracts.behaviour import ITEMS, RAW_KNOWLEDGE
from ml.contracts.meaning import KNOWLEDGE_GRAPH
from ml.errors import ContractError
from ml.knowledge.triples import build_knowledge_graph
from tests.ml.interests.catalogues import make_items, make_knowledge, shuffled


def graph_of(attributes: Mapping[str, object] | Sequence[object] = (), *, given: Sequence[tuple[str, str, str]] = ()) -> pa.Table:
    """The graph of items with attributes (by item id, or one per position) and given triples."""
    named = attributes if isinstance(attributes, Mapping) else {f"i{position:02d}": value for position, value in enumerate(attributes)}
    items = make_items([
        {"item_id": item, "title": f"Title of {item}", "attributes": None if value is None else json.dumps(value, ensure_ascii=False)}
        for item, value in named.items()
    ])  # fmt: skip
    return build_knowledge_graph(items, raw_knowledge=make_knowledge(given))


def triples(table: pa.Table) -> set[tuple[str, str, str]]:
    return {(row["head"], row["relation"], row["tail"]) for row in table.to_pylist()}


def test_attributes_become_entities_that_items_share() -> None:
    found = graph_of({"a": {"brandName": "Acme", "Sizes": ["S", "M"], "waterproof": True}, "b": {"brandName": " ACME", "导演": "张艺谋"}})
    assert triples(found) == {
        ("a", "brand_name", "brand_name:acme"),
        ("a", "sizes", "sizes:s"),
        ("a", "sizes", "sizes:m"),
        ("a", "waterproof", "waterproof:true"),
        ("b", "brand_name", "brand_name:acme"),
        ("b", "导演", "导演:张艺谋"),
    }
    assert set(found.column("source").to_pylist()) == {"attribute"}
    assert set(found.column("head_type").to_pylist()) == {"item"}
    assert set(found.column("tail_type").to_pylist()) == {"entity"}


def test_an_entity_has_one_name_the_usual_one() -> None:
    found = graph_of([{"brand": "Acme"}, {"brand": "ACME"}, {"brand": "Acme"}])
    assert found.column("tail_name").to_pylist() == ["Acme"] * 3


def test_given_triples_know_items_from_entities() -> None:
    found = graph_of({"a": None, "b": None}, given=[("a", "sequelOf", "b"), ("b", "made by", "Acme"), ("Acme", "based in", "上海")])
    names = ("head", "head_type", "relation", "tail", "tail_type", "tail_name", "source")
    assert [tuple(row[name] for name in names) for row in found.to_pylist()] == [
        ("Acme", "entity", "based_in", "上海", "entity", "上海", "given"),
        ("a", "item", "sequel_of", "b", "item", "Title of b", "given"),
        ("b", "item", "made_by", "Acme", "entity", "Acme", "given"),
    ]


def test_each_triple_once_and_a_given_one_stays_given() -> None:
    found = graph_of({"a": {"brand": ["Acme", "acme"]}}, given=[("a", "brand", "brand:acme"), ("a", "Brand", "brand:acme")])
    assert triples(found) == {("a", "brand", "brand:acme")}
    assert found.column("source").to_pylist() == ["given"]


def test_loops_and_nameless_relations() -> None:
    assert triples(graph_of(given=[("x", "same_as", "x"), ("x", "--", "y")])) == {("x", "related", "y")}


def test_values_that_join_nothing_are_left_out() -> None:
    rows = [
        {
            "isbn": f"978-{row:04d}x",
            "price": row + 0.99,
            "seats": row % 4,
            "blurb": "word " * 20,
            "brand": f"b{row % 5}",
            "none": None,
            "x": {"y": 1},
        }
        for row in range(80)
    ]
    assert {relation for _, relation, _ in triples(graph_of(rows))} == {"seats", "brand"}


def test_few_items_do_not_make_an_identifier() -> None:
    assert triples(graph_of([{"brand": "Acme"}])) == {("i00", "brand", "brand:acme")}


def test_numbers_written_as_text_are_numbers() -> None:
    assert graph_of([{"price": str(row)} for row in range(60)] * 2).num_rows == 0


def test_every_malformed_item_is_named() -> None:
    items = make_items(
        [{"item_id": "good", "attributes": "{}"}, {"item_id": "torn", "attributes": "{a"}, {"item_id": "列", "attributes": "[1]"}]
    )
    with pytest.raises(ContractError) as caught:
        build_knowledge_graph(items, raw_knowledge=RAW_KNOWLEDGE.empty())
    assert len(caught.value.failures) == 2
    assert "'torn'" in str(caught.value)
    assert "'列'" in str(caught.value)


def test_nothing_known() -> None:
    for items in (ITEMS.empty(), make_items([{"item_id": "a"}, {"item_id": "b", "attributes": "{}"}])):
        found = build_knowledge_graph(items, raw_knowledge=RAW_KNOWLEDGE.empty())
        assert found.num_rows == 0
        assert found.schema.equals(KNOWLEDGE_GRAPH.schema)


def test_order_of_rows_does_not_matter() -> None:
    items = make_items(
        [{"item_id": str(row), "attributes": json.dumps({"brand": ["Acme", "ACME"][row % 2], "n": row % 3})} for row in range(20)]
    )
    given = make_knowledge([(str(row), "near", str(row + 1)) for row in range(10)])
    expected = build_knowledge_graph(items, raw_knowledge=given)
    assert build_knowledge_graph(shuffled(items, seed=1), raw_knowledge=shuffled(given, seed=2)).equals(expected)
    keys = list(zip(*(expected.column(name).to_pylist() for name in ("head", "relation", "tail")), strict=True))
    assert keys == sorted(keys)


def test_lastfm_triples_come_through(real_data: Callable[[str], Path]) -> None:
    path = real_data("lastfm-kg") / "kg.txt.gz"
    options = csv.ReadOptions(column_names=["head", "relation", "tail"])
    text = {name: pa.string() for name in ("head", "relation", "tail")}
    given = csv.read_csv(
        path, read_options=options, parse_options=csv.ParseOptions(delimiter="\t"), convert_options=csv.ConvertOptions(column_types=text)
    )
    raw = given.append_column("source_file", pa.repeat(pa.scalar("kg"), given.num_rows))
    raw = raw.append_column("source_row", pa.array(range(given.num_rows), pa.int64()))
    found = build_knowledge_graph(ITEMS.empty(), raw_knowledge=raw.cast(RAW_KNOWLEDGE.schema))
    distinct = given.group_by(["head", "relation", "tail"]).aggregate([]).to_pylist()
    assert found.num_rows == len([row for row in distinct if row["head"] != row["tail"]])
