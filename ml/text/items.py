"""What of an item is read as text, and the table `item_embeddings`."""

import pyarrow as pa
import pyarrow.compute as pc

from ml.contracts.contract import STRING
from ml.contracts.meaning import ITEM_EMBEDDINGS
from ml.contracts.vectors import matrix_to_vectors
from ml.text.cache import EmbeddingCache, EmbeddingResult, embed
from ml.text.encoder import Encoder, Progress

_SEPARATOR = "\n"


def item_texts(items: pa.Table) -> pa.Array:
    """One text per item, in the order of `items`: title, category, tags, description, a line each.

    The description comes last, so that what an encoder cuts off is never the
    title, category or tags. Empty parts leave no line; a tag that repeats, or
    repeats the title or the category, is named once (letter case aside).
    """
    title, category, text = (_stripped(items.column(name)) for name in ("title", "category", "text"))
    category = _emptied_where(category, pc.equal(_folded(category), _folded(title)))
    tags = _joined_tags(items.column("tags"), title=title, category=category)
    parts = [title, category, tags, text]
    joined = parts[0]
    for part in parts[1:]:
        is_alone = pc.or_(pc.equal(joined, ""), pc.equal(part, ""))
        joined = pc.binary_join_element_wise(joined, part, pc.if_else(is_alone, "", _SEPARATOR))
    return joined


def embed_items(
    items: pa.Table, *, encoder: Encoder, cache: EmbeddingCache, progress: Progress | None = None
) -> tuple[pa.Table, EmbeddingResult]:
    """The table `item_embeddings` of all `items`, by item id, and what it cost."""
    ordered = items.sort_by("item_id")
    result = embed(item_texts(ordered).to_pylist(), encoder=encoder, cache=cache, progress=progress)
    table = pa.table(
        {
            "item_id": ordered.column("item_id"),
            "text_hash": result.text_hashes,
            "space_id": pa.repeat(pa.scalar(encoder.space.space_id, STRING), ordered.num_rows),
            "vector": matrix_to_vectors(result.vectors_ND),
        }
    )
    return ITEM_EMBEDDINGS.conform(table), result


def _stripped(column: pa.ChunkedArray) -> pa.Array:
    return pc.utf8_trim_whitespace(pc.fill_null(column.cast(STRING), "")).combine_chunks()


def _folded(texts: pa.Array) -> pa.Array:
    return pc.utf8_lower(texts)


def _emptied_where(texts: pa.Array, condition: pa.Array) -> pa.Array:
    return pc.if_else(condition, "", texts)


def _joined_tags(column: pa.ChunkedArray, *, title: pa.Array, category: pa.Array) -> pa.Array:
    """Tags that say something new, joined by commas, in the order given; shape [I]."""
    tags = column.combine_chunks()
    item_index = pc.list_parent_indices(tags)
    name = pc.utf8_trim_whitespace(pc.fill_null(pc.list_flatten(tags), ""))
    key = _folded(name)
    listed = pa.table({"item_index": item_index, "name": name, "key": key, "position": pa.array(range(len(name)), pa.int64())})
    known = pa.table({"item_index": pa.array(range(len(title)), item_index.type), "key": _folded(title)})
    levels = pc.split_pattern(category, " > ")
    known_levels = pa.table({"item_index": pc.list_parent_indices(levels), "key": _folded(pc.list_flatten(levels))})
    said = pa.concat_tables([known, known_levels]).combine_chunks()
    fresh = listed.filter(pc.not_equal(listed.column("key"), "")).join(said, ["item_index", "key"], join_type="left anti")
    first = fresh.sort_by("position").group_by(["item_index", "key"], use_threads=False).aggregate([("name", "first"), ("position", "min")])
    grouped = first.sort_by("position_min").group_by("item_index", use_threads=False).aggregate([("name_first", "list")])
    joined = pc.binary_join(grouped.column("name_first_list"), ", ")
    place = pc.index_in(pa.array(range(len(title)), item_index.type), value_set=grouped.column("item_index"))
    return pc.fill_null(joined.combine_chunks().take(place), "")
