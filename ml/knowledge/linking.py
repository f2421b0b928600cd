"""Entity linking: which known names stand in which texts, and which node each means.

Every place of every name is found first, judged by what surrounds it, then of overlapping ones the longest stays and
its node is chosen. No model, no training; English and Chinese the same way. Shapes: N names, M matches.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ml.ids import BoolArray, IntArray
from ml.knowledge.confidence import Floats, confidences, fitting_cues, name_facts
from ml.knowledge.disambiguation import Company, choose
from ml.knowledge.gazetteer import TITLE
from ml.knowledge.surroundings import Seen, look_around
from ml.words.stream import WordStream, read_stream
from ml.words.trie import Matches, NameTrie, key_of_names

# Texts read at once: bounds memory, changes no result.
BLOCK = 4096
SCHEMA = pa.schema([
    ("item_id", pa.string()),
    ("node_id", pa.string()),
    ("node_type", pa.string()),
    ("kind", pa.string()),
    ("name", pa.string()),
    ("confidence", pa.float64()),
])  # fmt: skip


@dataclass(frozen=True)
class Names:
    """Distinct names as the trie tells them apart, and the gazetteer's rows of each: those with `name_of_row` equal."""

    stream: WordStream
    trie: NameTrie
    num_names: int
    name_of_row: IntArray


def link_names(texts: pa.Table, *, gazetteer: pa.Table, company: Company, min_confidence: float) -> pa.Table:
    """One row per item and node its text names with at least `min_confidence`, sorted; `texts` has item_id and text.

    An item's own node may be among them.
    """
    names = _distinct_names(gazetteer)
    text, matches, seen = _find(texts.column("text"), names)
    if not len(matches.name_M):
        return SCHEMA.empty_table()
    confidence = _judge(gazetteer, names, matches=matches, seen=seen, text_M=text)
    kept = np.flatnonzero(confidence >= min_confidence)
    kept = kept[_longest(matches.start_M[kept], matches.end_M[kept])]
    row, match = _chosen(texts, gazetteer, names, company=company, name_M=matches.name_M[kept], text_M=text[kept], cue_M=seen.cue_M[kept])
    linked = gazetteer.take(pa.array(row)).drop_columns(["num_items"])
    linked = linked.append_column("item_id", texts.column("item_id").take(pa.array(text[kept][match])))
    linked = linked.append_column("confidence", pa.array(confidence[kept][match]))
    distinct = linked.group_by(["item_id", "node_id", "node_type", "kind"]).aggregate([("name", "min"), ("confidence", "max")])
    ordered = distinct.rename_columns({"name_min": "name", "confidence_max": "confidence"})
    return ordered.select(SCHEMA.names).cast(SCHEMA).sort_by([(column, "ascending") for column in ("item_id", "node_id", "node_type")])


def _distinct_names(gazetteer: pa.Table) -> Names:
    """Names that fold to the same words are one; how it is written is taken from the first of them."""
    spelled = read_stream(gazetteer.column("name"))
    keys = pc.dictionary_encode(key_of_names(spelled, num_names=gazetteer.num_rows))
    name_of_row = np.asarray(keys.indices, dtype=np.int64)
    _, first = np.unique(name_of_row, return_index=True)
    stream = read_stream(gazetteer.column("name").take(pa.array(first)))
    return Names(stream, NameTrie(stream, num_names=len(first)), len(first), name_of_row)


def _find(texts: pa.ChunkedArray, names: Names) -> tuple[IntArray, Matches, Seen]:
    """Text, words and surroundings of every match; words are numbered through all texts."""
    found: list[tuple[IntArray, Matches, Seen]] = []
    offset = 0
    for low in range(0, len(texts), BLOCK):
        stream = read_stream(texts.slice(low, BLOCK))
        matches = names.trie.find(stream)
        seen = look_around(stream, matches, names=names.stream, num_names=names.num_names)
        moved = Matches(matches.name_M, matches.start_M + offset, matches.end_M + offset)
        found.append((stream.text_T[matches.start_M] + low, moved, seen))
        offset += len(stream)
    if not found:
        return _find(pa.chunked_array([pa.array([""])]), names)
    return (
        np.concatenate([text for text, _, _ in found]),
        Matches(*(np.concatenate([getattr(part, name) for _, part, _ in found]) for name in Matches.__dataclass_fields__)),
        Seen(*(np.concatenate([getattr(part, name) for _, _, part in found]) for name in Seen.__dataclass_fields__)),
    )


def _judge(gazetteer: pa.Table, names: Names, *, matches: Matches, seen: Seen, text_M: IntArray) -> Floats:
    num_items_N = np.zeros(names.num_names, dtype=np.int64)
    np.maximum.at(num_items_N, names.name_of_row, np.asarray(gazetteer.column("num_items")))
    is_title = np.asarray(pc.equal(gazetteer.column("kind"), TITLE), dtype=np.bool_)
    is_title_N = np.bincount(names.name_of_row, weights=~is_title, minlength=names.num_names) == 0
    facts = name_facts(names.stream, is_title_N=is_title_N, num_items_N=num_items_N)
    name_M = matches.name_M
    lower_N = np.bincount(name_M[~seen.is_cased_M], minlength=names.num_names)
    upper_N = np.bincount(name_M[seen.is_cased_M & ~seen.starts_sentence_M], minlength=names.num_names)
    return confidences(
        facts,
        seen=seen,
        name_M=name_M,
        text_M=text_M,
        lower_share_N=lower_N / np.maximum(lower_N + upper_N, 1),
        cue_fits_M=_name_cues(gazetteer, names, seen=seen, name_M=name_M),
    )


def _name_cues(gazetteer: pa.Table, names: Names, *, seen: Seen, name_M: IntArray) -> BoolArray:
    """Whether the cue beside each match fits any node that bears its name, shape [M]."""
    row, match = _candidates(names, name_M)
    fits = fitting_cues(seen.cue_M[match], kinds_C=gazetteer.column("kind").combine_chunks().take(pa.array(row)))
    return np.bincount(match, weights=fits, minlength=len(name_M)) > 0


def _candidates(names: Names, name_M: IntArray) -> tuple[IntArray, IntArray]:
    """Gazetteer row and match of every pair of a match and a row of its name."""
    rows = np.argsort(names.name_of_row, kind="stable")
    num_rows_N = np.bincount(names.name_of_row, minlength=names.num_names)
    first_N = np.cumsum(num_rows_N) - num_rows_N
    match = np.repeat(np.arange(len(name_M)), num_rows_N[name_M])
    within = np.arange(len(match)) - np.repeat(np.cumsum(num_rows_N[name_M]) - num_rows_N[name_M], num_rows_N[name_M])
    return rows[first_N[name_M][match] + within], match


def _chosen(
    texts: pa.Table, gazetteer: pa.Table, names: Names, *, company: Company, name_M: IntArray, text_M: IntArray, cue_M: IntArray
) -> tuple[IntArray, IntArray]:
    """The gazetteer row each match means, and the match."""
    row, match = _candidates(names, name_M)
    borne = gazetteer.take(pa.array(row))
    several = np.flatnonzero(np.bincount(match, minlength=len(name_M))[match] > 1)
    node_ids, node_types = (borne.column(name).combine_chunks().take(pa.array(several)) for name in ("node_id", "node_type"))
    heads = texts.column("item_id").combine_chunks().take(pa.array(text_M[match[several]]))
    company_C = np.zeros(len(match), dtype=np.float32)
    company_C[several] = company.shared(heads, node_ids=node_ids, node_types=node_types)
    cue_C = fitting_cues(cue_M[match], kinds_C=borne.column("kind").combine_chunks())
    best = choose(match, cue_C=cue_C, company_C=company_C, num_items_C=np.asarray(borne.column("num_items")), tie_C=row)
    return row[best], match[best]


def _longest(start_M: IntArray, end_M: IntArray) -> IntArray:
    """Places of matches that no longer one overlaps, nor an earlier one of the same length; in order of place."""
    waiting = np.lexsort((start_M, start_M - end_M))
    rank = np.empty(len(waiting), dtype=np.int64)
    rank[waiting] = np.arange(len(waiting))
    kept: list[IntArray] = []
    while len(waiting):
        lengths = end_M[waiting] - start_M[waiting]
        owner = np.repeat(waiting, lengths)
        word = np.repeat(start_M[waiting], lengths) + np.arange(len(owner)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        word = np.unique(word, return_inverse=True)[1]
        best = np.full(len(word), len(rank), dtype=np.int64)
        np.minimum.at(best, word, rank[owner])
        lost = np.bincount(owner, weights=best[word] < rank[owner], minlength=len(rank))[waiting] > 0
        kept.append(waiting[~lost])
        taken = np.zeros(len(word), dtype=np.bool_)
        taken[word[~np.repeat(lost, lengths)]] = True
        overlaps = np.bincount(owner, weights=taken[word], minlength=len(rank))[waiting] > 0
        waiting = waiting[lost & ~overlaps]
    return np.sort(np.concatenate(kept)) if kept else np.zeros(0, dtype=np.int64)
