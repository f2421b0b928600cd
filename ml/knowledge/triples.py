"""The knowledge graph: triples somebody gave, and triples read from item attributes.

Given names stay as they are; attribute values become entities of their attribute.
What the triples are worth as edges is `ml.graph.build`'s business.
"""

import pyarrow as pa
import pyarrow.compute as pc

from ml.contracts.meaning import KNOWLEDGE_GRAPH
from ml.knowledge.attributes import attribute_values
from ml.names import snake_case_names

KEY = ["head", "relation", "tail"]
# What a relation is called whose given name has no letter or digit.
NAMELESS_RELATION = "related"


def build_knowledge_graph(items: pa.Table, *, raw_knowledge: pa.Table) -> pa.Table:
    """The table `knowledge_graph`, sorted by key, each triple once; one given and read is given.

    Heads and tails that equal an item id are items, all others entities; an attribute's
    entity is `attribute:value` in normalised spelling, so that it joins the items that share it.
    Triples of a node with itself are left out. Raises `ContractError` for malformed attributes.
    """
    found = pa.concat_tables([_given_triples(raw_knowledge, items=items), _attribute_triples(items)])
    distinct = found.group_by(KEY).aggregate([("head_type", "min"), ("tail_type", "min"), ("tail_name", "min"), ("source", "max")])
    renamed = {"head_type_min": "head_type", "tail_type_min": "tail_type", "tail_name_min": "tail_name", "source_max": "source"}
    ordered = distinct.rename_columns(renamed).sort_by([(name, "ascending") for name in KEY])
    return KNOWLEDGE_GRAPH.conform(ordered)


def _given_triples(raw_knowledge: pa.Table, *, items: pa.Table) -> pa.Table:
    head, tail = (pc.utf8_trim_whitespace(raw_knowledge.column(name)) for name in ("head", "tail"))
    relation = snake_case_names(raw_knowledge.column("relation"))
    item_ids = items.column("item_id").combine_chunks()
    title = items.column("title").combine_chunks().take(pc.index_in(tail, value_set=item_ids))
    columns = {
        "head": head,
        "head_type": _node_type(head, item_ids=item_ids),
        "relation": pc.if_else(pc.equal(relation, ""), NAMELESS_RELATION, relation),
        "tail": tail,
        "tail_type": _node_type(tail, item_ids=item_ids),
        "tail_name": pc.coalesce(title, tail),
        "source": pa.repeat(pa.scalar("given"), raw_knowledge.num_rows),
    }
    return _typed(columns).filter(pc.not_equal(head, tail))


def _attribute_triples(items: pa.Table) -> pa.Table:
    values = attribute_values(items)
    tail = pc.binary_join_element_wise(values.column("attribute"), values.column("value_key"), ":")
    columns = {
        "head": values.column("item_id"),
        "head_type": pa.repeat(pa.scalar("item"), values.num_rows),
        "relation": values.column("attribute"),
        "tail": tail,
        "tail_type": pa.repeat(pa.scalar("entity"), values.num_rows),
        "tail_name": _usual_spelling(tail, names=values.column("value")),
        "source": pa.repeat(pa.scalar("attribute"), values.num_rows),
    }
    return _typed(columns)


def _node_type(ids: pa.ChunkedArray, *, item_ids: pa.Array) -> pa.ChunkedArray:
    return pc.if_else(pc.is_in(ids, value_set=item_ids), "item", "entity")


def _usual_spelling(keys: pa.ChunkedArray, *, names: pa.ChunkedArray) -> pa.ChunkedArray:
    """The most frequent name of each key (ties: first in order), shape of `keys`."""
    counted = pa.table({"key": keys, "name": names}).group_by(["key", "name"]).aggregate([([], "count_all")])
    ordered = counted.sort_by([("key", "ascending"), ("count_all", "descending"), ("name", "ascending")])
    usual = ordered.group_by("key", use_threads=False).aggregate([("name", "first")])
    return usual.column("name_first").combine_chunks().take(pc.index_in(keys, value_set=usual.column("key").combine_chunks()))


def _typed(columns: dict[str, pa.Array | pa.ChunkedArray]) -> pa.Table:
    return pa.table(columns).select(KNOWLEDGE_GRAPH.schema.names).cast(KNOWLEDGE_GRAPH.schema)
