"""Pairs of texts that belong together, from the catalogue and from what users did: what an encoder is fine-tuned on.

Here: which texts are paired, and which pairs are held out. Everything of users is from before
`as_of`, and so are their words where an item has no description of its own.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ml.config.pipeline import FinetuningConfig
from ml.contracts.contract import STRING, TIMESTAMP
from ml.ids import pair_starts
from ml.text.items import item_texts
from ml.words.cleaning import clean_texts

TRAIN, VALIDATION, TEST = range(3)
Parts = npt.NDArray[np.int8]

PAIRS = pa.schema(
    [("kind", STRING), ("anchor", STRING), ("document", STRING), ("anchor_item", STRING), ("item_id", STRING), ("known_at", TIMESTAMP)]
)
# A search and what was looked at after it: longer, and the look has another reason.
_SEARCH_SECONDS = 30 * 60
_MICROSECONDS = 1_000_000
_SENTENCE_END = re.compile(r"[。！？]+|[.!?]+\s+|\n+")
_SENTENCES_PER_TEXT = 2


@dataclass(frozen=True)
class Sources:
    """The tables that pairs are made of: a catalogue, and histories of what users did and wrote."""

    items: pa.Table
    interactions: pa.Table
    user_texts: pa.Table


def find_pairs(sources: Sources, *, config: FinetuningConfig, as_of: datetime) -> pa.Table:
    """Every pair that may be learned from at `as_of`, of schema `PAIRS`, in order of kind, then texts; no two are the same.

    `title_text`: an item's title and its description; `title_tags`: its title, and category and tags;
    `sentence_text`: one of the longest sentences of a description and the rest of it (Lee et al., arXiv 1906.00300);
    `search_item`: a search and the whole text of what the same user came to next, within half an hour and with a positive
    weight; `basket`: the whole texts of two items that one user liked one after the other on one day. What users did and
    wrote is from before `as_of`; what the catalogue says of an item is taken as given, as it is everywhere. Texts are cleaned. Of
    each kind the `max_pairs` newest stay, of equals any (by hash). `anchor_item` is null where the anchor is a search.
    """
    items = _described(sources.items, as_of=as_of)
    interactions = _before(sources.interactions, "last_event_at", as_of=as_of)
    searches = _before(sources.user_texts, "event_at", as_of=as_of)
    made = {
        "title_text": lambda: _title_pairs(items, without=("category", "tags")),
        "title_tags": lambda: _title_pairs(items, without=("text",)),
        "sentence_text": lambda: _sentence_pairs(items),
        "search_item": lambda: _search_pairs(searches, interactions=interactions, items=items, limit=config.max_pairs),
        "basket": lambda: _basket_pairs(interactions, items=items, limit=config.max_pairs),
    }
    tables = [_newest(_distinct(_named(made[kind](), kind)), limit=config.max_pairs) for kind in config.pair_kinds]
    return pa.concat_tables([PAIRS.empty_table(), *tables]).sort_by([(name, "ascending") for name in ("kind", "anchor", "document")])


def parts(pairs: pa.Table, *, items: pa.Table, held_out_share: float) -> Parts:
    """`TRAIN`, `VALIDATION` or `TEST` of each pair, -1 where it is of none; shape [N].

    An item's side is told by the hash of its cleaned title, so it stays where it is from day to day. Pairs of items of two
    sides are of none, and so are those of items that are not held out but described like one that is.
    """
    side_I = _sides(items, held_out_share=held_out_share)
    ids = items.column("item_id").combine_chunks()
    side_N = side_I[pc.index_in(pairs.column("item_id"), value_set=ids).to_numpy()]
    of_anchor = pc.fill_null(pc.index_in(pairs.column("anchor_item"), value_set=ids), -1).to_numpy()
    anchor_side_N = np.where(of_anchor >= 0, side_I[of_anchor], side_N)
    return np.where(anchor_side_N == side_N, side_N, -1).astype(np.int8)


def _sides(items: pa.Table, *, held_out_share: float) -> Parts:
    titles, texts = (clean_texts(items.column(name)) for name in ("title", "text"))
    digests = (hashlib.sha256(title.casefold().encode()).digest()[:8] for title in titles.to_pylist())
    place_I = np.array([int.from_bytes(digest, "big") / 2**64 for digest in digests])
    side_I = np.where(place_I < held_out_share, TEST, np.where(place_I < 2 * held_out_share, VALIDATION, TRAIN)).astype(np.int8)
    held_out = pc.if_else(pc.equal(texts, ""), None, texts).filter(pa.array(side_I != TRAIN))
    side_I[(side_I == TRAIN) & np.asarray(pc.is_in(texts, value_set=held_out, skip_nulls=True), dtype=np.bool_)] = -1
    return side_I


def _described(items: pa.Table, *, as_of: datetime) -> pa.Table:
    """Items of the catalogue; words that users wrote at or after `as_of` are taken out."""
    catalogued = items.filter(items.column("is_catalogued")).sort_by("item_id")
    later = pc.fill_null(pc.greater_equal(catalogued.column("text_known_at"), pa.scalar(as_of, TIMESTAMP)), False)
    place = catalogued.schema.get_field_index("text")
    return catalogued.set_column(place, "text", pc.if_else(later, pa.scalar(None, STRING), catalogued.column("text")))


def _before(table: pa.Table, column: str, *, as_of: datetime) -> pa.Table:
    return table.filter(pc.less(table.column(column), pa.scalar(as_of, TIMESTAMP)))


def _title_pairs(items: pa.Table, *, without: Sequence[str]) -> pa.Table:
    return pa.table(
        {
            "anchor": items.column("title"),
            "document": _texts(items, without=("title", *without)),
            "anchor_item": items.column("item_id"),
            "item_id": items.column("item_id"),
            "known_at": _known_since(items),
        }
    )


def _sentence_pairs(items: pa.Table) -> pa.Table:
    taken = [_sentences_taken(text) for text in pc.fill_null(items.column("text"), "").to_pylist()]
    item = pa.array(np.repeat(np.arange(items.num_rows), list(map(len, taken))))
    return pa.table(
        {
            "anchor": pa.array([sentence for found in taken for sentence, _ in found], STRING),
            "document": pa.array([rest for found in taken for _, rest in found], STRING),
            "anchor_item": items.column("item_id").take(item),
            "item_id": items.column("item_id").take(item),
            "known_at": _known_since(items).take(item),
        }
    )


def _sentences_taken(text: str) -> list[tuple[str, str]]:
    """The longest sentences of a text, each with what the text is without it; none of a text of one sentence."""
    ends = [0, *(found.end() for found in _SENTENCE_END.finditer(text)), len(text)]
    spans = [(start, end) for start, end in pairwise(ends) if text[start:end].strip()]
    longest = sorted(sorted(spans, key=lambda span: (span[0] - span[1], span[0]))[:_SENTENCES_PER_TEXT])
    if len(spans) < 2:
        return []
    return [(text[start:end].strip(), f"{text[:start]}{text[end:]}".strip()) for start, end in longest]


def _texts(items: pa.Table, *, without: Sequence[str] = ()) -> pa.Array:
    """The items' texts with some of their parts left out."""
    for name in without:
        place = items.schema.get_field_index(name)
        items = items.set_column(place, name, pa.nulls(items.num_rows, items.schema.field(place).type))
    return item_texts(items)


def _known_since(items: pa.Table) -> pa.ChunkedArray:
    always = pa.scalar(0, pa.int64()).cast(TIMESTAMP)
    return pc.fill_null(pc.coalesce(items.column("text_known_at"), items.column("created_at")), always)


def _search_pairs(texts: pa.Table, *, interactions: pa.Table, items: pa.Table, limit: int) -> pa.Table:
    searches = texts.filter(pc.is_null(texts.column("item_id")))
    searches = pa.table(
        {
            "user_id": searches.column("user_id"),
            "at": _microseconds(searches.column("event_at")),
            "anchor": searches.column("text"),
        }
    )
    liked = _liked(interactions, items=items)
    found = pa.table(
        {"by": liked.column("user_id"), "then": _microseconds(liked.column("first_event_at")), "item_id": liked.column("item_id")}
    )
    next_one = searches.sort_by([("at", "ascending"), ("user_id", "ascending"), ("anchor", "ascending")]).join_asof(
        found.sort_by([("then", "ascending"), ("by", "ascending"), ("item_id", "ascending")]),
        on="at",
        by="user_id",
        tolerance=_SEARCH_SECONDS * _MICROSECONDS,
        right_on="then",
        right_by="by",
    )
    clicked = next_one.filter(pc.is_valid(next_one.column("item_id")))
    pairs = _once(clicked.select(["anchor", "item_id", "at"]).rename_columns(["anchor", "item_id", "known_at"]), limit=limit)
    return pairs.append_column("anchor_item", pa.nulls(pairs.num_rows, STRING)).append_column(
        "document", _text_of(pairs.column("item_id"), items=items)
    )


def _basket_pairs(interactions: pa.Table, *, items: pa.Table, limit: int) -> pa.Table:
    order = [(name, "ascending") for name in ("user_id", "day", "first_event_at", "item_id")]
    liked = _liked(interactions, items=items).sort_by(order)
    first, second = liked.slice(0, max(liked.num_rows - 1, 0)), liked.slice(1)
    together = pc.and_(pc.equal(first.column("user_id"), second.column("user_id")), pc.equal(first.column("day"), second.column("day")))
    together = pc.and_(together, pc.not_equal(first.column("item_id"), second.column("item_id")))
    first, second = first.filter(together), second.filter(together)
    moments = _microseconds(second.column("first_event_at"))
    pairs = _once(pa.table({"anchor_item": first.column("item_id"), "item_id": second.column("item_id"), "known_at": moments}), limit=limit)
    texts = {name: _text_of(pairs.column(column), items=items) for name, column in (("anchor", "anchor_item"), ("document", "item_id"))}
    return pa.table({**dict(zip(pairs.column_names, pairs.columns, strict=True)), **texts})


def _once(pairs: pa.Table, *, limit: int) -> pa.Table:
    """Each pair of ids once, as it was known last, the newest `limit`: before texts are looked up, which are far larger."""
    keys = pairs.column_names[:2]
    newest = pairs.group_by(keys, use_threads=False).aggregate([("known_at", "max")]).rename_columns([*keys, "known_at"])
    return _newest(newest.set_column(2, "known_at", newest.column("known_at").cast(TIMESTAMP)), limit=limit)


def _liked(interactions: pa.Table, *, items: pa.Table) -> pa.Table:
    known = pc.is_in(interactions.column("item_id"), value_set=items.column("item_id").combine_chunks())
    return interactions.filter(pc.and_(known, pc.greater(interactions.column("weight"), 0.0)))


def _text_of(item_ids: pa.ChunkedArray, *, items: pa.Table) -> pa.ChunkedArray:
    return _texts(items).take(pc.index_in(item_ids, value_set=items.column("item_id").combine_chunks()).combine_chunks())


def _microseconds(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column.cast(TIMESTAMP).cast(pa.int64())


def _named(pairs: pa.Table, kind: str) -> pa.Table:
    columns = {name: pairs.column(name) for name in PAIRS.names if name != "kind"}
    cleaned = {name: clean_texts(columns[name]) for name in ("anchor", "document")}
    return pa.table({**columns, **cleaned, "kind": pa.repeat(pa.scalar(kind, STRING), pairs.num_rows)}).select(PAIRS.names).cast(PAIRS)


def _distinct(pairs: pa.Table) -> pa.Table:
    """Each pair of different, non-empty texts once, as it was known last."""
    says = pc.and_(pc.not_equal(pairs.column("anchor"), ""), pc.not_equal(pairs.column("document"), ""))
    said = pairs.filter(pc.and_(says, pc.not_equal(pairs.column("anchor"), pairs.column("document"))))
    said = said.sort_by([("anchor", "ascending"), ("document", "ascending"), ("known_at", "descending"), ("item_id", "ascending")])
    codes = (np.asarray(said.column(name).combine_chunks().dictionary_encode().indices, dtype=np.int64) for name in ("anchor", "document"))
    return said.take(pa.array(pair_starts(*codes)))


def _newest(pairs: pa.Table, *, limit: int) -> pa.Table:
    """The newest `limit`; of those just as old as the last of them, the ones whose ids and texts hash lowest."""
    if pairs.num_rows <= limit:
        return pairs
    known_at_N = np.asarray(_microseconds(pairs.column("known_at")), dtype=np.int64)
    bar = np.partition(known_at_N, -limit)[-limit]
    newer, ties = np.flatnonzero(known_at_N > bar), np.flatnonzero(known_at_N == bar)
    rows = pairs.drop_columns(["known_at"]).take(pa.array(ties)).to_pylist()
    digests = [hashlib.sha256(repr(sorted(row.items())).encode()).digest() for row in rows]
    chosen = ties[sorted(range(len(ties)), key=digests.__getitem__)[: limit - len(newer)]]
    return pairs.take(pa.array(np.sort(np.concatenate([newer, chosen]))))
