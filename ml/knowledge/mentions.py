"""Triples from text: an item mentions what its description names.

Only given descriptions are read: words that users wrote are known later than the item, and speak of themselves.
A mention of what the item is already joined to says nothing new and is left out.
"""

import pyarrow as pa
import pyarrow.compute as pc

from ml.knowledge.disambiguation import read_company
from ml.knowledge.gazetteer import TITLE, build_gazetteer
from ml.knowledge.linking import link_names
from ml.words.cleaning import clean_column

MENTIONS = "mentions"


def mention_triples(items: pa.Table, *, known: pa.Table, min_confidence: float) -> pa.Table:
    """Rows shaped as those of `known` (as `knowledge_graph`), relation `mentions`, source `text`."""
    texts = items.filter(pc.and_(pc.is_valid(items.column("text")), pc.is_null(items.column("text_known_at"))))
    linked = link_names(
        clean_column(texts.select(["item_id", "text"]).sort_by("item_id"), "text"),
        gazetteer=build_gazetteer(items, triples=known),
        company=read_company(items, triples=known),
        min_confidence=min_confidence,
    )
    new = linked.filter(pc.not_equal(linked.column("item_id"), linked.column("node_id")))
    new = new.join(known.select(["head", "tail"]), keys=["item_id", "node_id"], right_keys=["head", "tail"], join_type="left anti")
    return _as_triples(new, items=items, columns=known.column_names).cast(known.schema)


def _as_triples(linked: pa.Table, *, items: pa.Table, columns: list[str]) -> pa.Table:
    node = linked.column("node_id").combine_chunks()
    title = items.column("title").combine_chunks().take(pc.index_in(node, value_set=items.column("item_id").combine_chunks()))
    is_title = pc.equal(linked.column("kind"), TITLE)
    found = {
        "head": linked.column("item_id"),
        "head_type": pa.repeat(pa.scalar("item"), linked.num_rows),
        "relation": pa.repeat(pa.scalar(MENTIONS), linked.num_rows),
        "tail": node,
        "tail_type": linked.column("node_type"),
        "tail_name": pc.if_else(is_title, title, linked.column("name")),
        "tail_kind": pc.if_else(is_title, "item", linked.column("kind")),
        "source": pa.repeat(pa.scalar("text"), linked.num_rows),
        "confidence": linked.column("confidence"),
    }
    return pa.table({name: found[name] for name in columns})
