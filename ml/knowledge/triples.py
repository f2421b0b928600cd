"""The knowledge graph: triples somebody gave, triples read from item attributes, and names found in item texts.

Given names stay as they are; attribute values become entities of their attribute.
What is wrong with given triples is `ml.knowledge.findings`, what they are worth as edges `ml.graph.build`'s business.
"""

import pyarrow as pa
import pyarrow.compute as pc

from ml.config.pipeline import KnowledgeConfig
from ml.contracts.meaning import KNOWLEDGE_GRAPH
from ml.knowledge.attributes import attribute_values
from ml.knowledge.friends import friend_triples, without_friends
from ml.knowledge.mentions import mention_triples
from ml.names import snake_case_names

KEY = ["head", "relation", "tail"]
# What a relation is called whose given name has no letter or digit.
NAMELESS_RELATION = "related"
# Of one triple known from several, the first stays.
SOURCES = pa.array(["given", "attribute", "text"])
NO_LINKS = KnowledgeConfig(link_texts=False)


def build_knowledge_graph(items: pa.Table, *, raw_knowledge: pa.Table, config: KnowledgeConfig = NO_LINKS) -> pa.Table:
    """The table `knowledge_graph`, sorted by key, each triple once; one given and read is given.

    Heads and tails that equal an item id are items, all others entities, but those of `friend`, which are
    users (`ml.knowledge.friends`), each pair once; an attribute's
    entity is `attribute:value` in normalised spelling, so that it joins the items that share it.
    Triples of a node with itself or with an empty head or tail are left out. With `config.link_texts`
    an item `mentions` the entities and items its text names. Raises `ContractError` for malformed attributes.
    """
    friends = _typed(friend_triples(raw_knowledge))
    known = pa.concat_tables([given_triples(raw_knowledge, items=items), _attribute_triples(items)])
    if config.link_texts:
        known = pa.concat_tables([known, mention_triples(items, known=known, min_confidence=config.min_confidence)])
    return KNOWLEDGE_GRAPH.conform(_each_once(pa.concat_tables([known, _whole(friends)])))


def given_triples(raw_knowledge: pa.Table, *, items: pa.Table) -> pa.Table:
    """The usable ones of given triples but friendships, typed, in the columns of `knowledge_graph`; repeated ones are still there."""
    raw_knowledge = without_friends(raw_knowledge)
    head, tail = (pc.utf8_trim_whitespace(raw_knowledge.column(name)) for name in ("head", "tail"))
    relation = snake_case_names(raw_knowledge.column("relation"))
    relation = pc.if_else(pc.equal(relation, ""), NAMELESS_RELATION, relation)
    item_ids = items.column("item_id").combine_chunks()
    title = items.column("title").combine_chunks().take(pc.index_in(tail, value_set=item_ids))
    tail_type = _node_type(tail, item_ids=item_ids)
    columns = {
        "head": head,
        "head_type": _node_type(head, item_ids=item_ids),
        "relation": relation,
        "tail": tail,
        "tail_type": tail_type,
        "tail_name": pc.coalesce(title, tail),
        "tail_kind": pc.if_else(pc.equal(tail_type, "item"), "item", _most_frequent(tail, names=relation)),
        "source": pa.repeat(pa.scalar("given"), raw_knowledge.num_rows),
        "confidence": pa.repeat(pa.scalar(1.0), raw_knowledge.num_rows),
    }
    return _whole(_typed(columns))


def _attribute_triples(items: pa.Table) -> pa.Table:
    values = attribute_values(items)
    tail = pc.binary_join_element_wise(values.column("attribute"), values.column("value_key"), ":")
    columns = {
        "head": values.column("item_id"),
        "head_type": pa.repeat(pa.scalar("item"), values.num_rows),
        "relation": values.column("attribute"),
        "tail": tail,
        "tail_type": pa.repeat(pa.scalar("entity"), values.num_rows),
        "tail_name": _most_frequent(tail, names=values.column("value")),
        "tail_kind": values.column("attribute"),
        "source": pa.repeat(pa.scalar("attribute"), values.num_rows),
        "confidence": pa.repeat(pa.scalar(1.0), values.num_rows),
    }
    return _typed(columns)


def _whole(triples: pa.Table) -> pa.Table:
    """Those with two different ends."""
    head, tail = triples.column("head"), triples.column("tail")
    is_whole = pc.and_(pc.not_equal(head, ""), pc.not_equal(tail, ""))
    return triples.filter(pc.and_(is_whole, pc.not_equal(head, tail)))


def _each_once(found: pa.Table) -> pa.Table:
    rank = pc.index_in(found.column("source"), value_set=SOURCES)
    described = [(name, "min") for name in ("head_type", "tail_type", "tail_name", "tail_kind")]
    distinct = found.append_column("rank", rank).group_by(KEY).aggregate([*described, ("rank", "min"), ("confidence", "max")])
    renamed = {f"{name}_{how}": name for name, how in (*described, ("rank", "min"), ("confidence", "max"))}
    named = distinct.rename_columns(renamed)
    named = named.append_column("source", SOURCES.take(named.column("rank").combine_chunks()))
    return named.sort_by([(name, "ascending") for name in KEY])


def _node_type(ids: pa.ChunkedArray, *, item_ids: pa.Array) -> pa.ChunkedArray:
    return pc.if_else(pc.is_in(ids, value_set=item_ids), "item", "entity")


def _most_frequent(keys: pa.ChunkedArray | pa.Array, *, names: pa.ChunkedArray | pa.Array) -> pa.ChunkedArray:
    """The most frequent name of each key (ties: first in order), shape of `keys`."""
    counted = pa.table({"key": keys, "name": names}).group_by(["key", "name"]).aggregate([([], "count_all")])
    ordered = counted.sort_by([("key", "ascending"), ("count_all", "descending"), ("name", "ascending")])
    usual = ordered.group_by("key", use_threads=False).aggregate([("name", "first")])
    return usual.column("name_first").combine_chunks().take(pc.index_in(keys, value_set=usual.column("key").combine_chunks()))


def _typed(columns: dict[str, pa.Array | pa.ChunkedArray]) -> pa.Table:
    return pa.table(columns).select(KNOWLEDGE_GRAPH.schema.names).cast(KNOWLEDGE_GRAPH.schema)
