"""Entity linking: which names stand in a text, ours beside exact substrings, on films in English and in Chinese.

The films are dealt into two halves by their id; the rules were set by hand on the first (`tuned`), the second was only
measured. The table's rows of the half that is measured are masked: what its films are joined to is unknown to the
linker, which has the list of names alone. Nobody labelled these texts, so gold is what can be known without reading:
a name of a film's OWN row (director, actor, title) that stands in its own text, letter case as written and, in
English, on whole words, is a true mention; recall is the share of these found. A link to any other known name counts as wrong, though
some are right (an actor the table leaves out, another film named): so precision is a lower bound for all linkers alike.
movielens has titles only, no people.

python -m benchmarks.knowledge [--quick] [--json FILE]
"""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.report import Options, Row, data_folder, parse_options, publish, timed
from ml.config.pipeline import KnowledgeConfig
from ml.contracts.behaviour import ITEMS, RAW_KNOWLEDGE
from ml.knowledge.disambiguation import read_company
from ml.knowledge.gazetteer import TITLE, build_gazetteer
from ml.knowledge.linking import link_names
from ml.knowledge.triples import build_knowledge_graph

Pairs = set[tuple[str, str]]
QUICK_ITEMS = 600
PEOPLE = ("director", "actor")


@dataclass(frozen=True)
class Half:
    """Half of a catalogue to be read: its texts, the names there are, its own names by item and kind, and the other half's triples."""

    texts: pa.Table
    gazetteer: pa.Table
    own: dict[str, Pairs]
    items: pa.Table
    triples: pa.Table


def main(options: Options) -> None:
    """Measure every set that is here and publish the table."""
    rows: list[Row] = []
    for name, folder, read in (
        ("movielens overviews", "movielens-small-text", movielens),
        ("douban summaries", "zh-douban-movies-1000", douban),
    ):
        found = data_folder(folder)
        if found is not None:
            items = read(found)
            rows += measure(name, items.slice(0, QUICK_ITEMS) if options.quick else items)
    publish(
        "knowledge", rows, options=options, notes=["precision is a lower bound: links to names outside the film's own row count as wrong"]
    )


def movielens(folder: Path) -> pa.Table:
    """Films with title, overview and companies."""
    films = pq.read_table(folder / "movies.parquet", columns=["movieId", "title", "overview"])
    return as_items(pc.cast(films.column("movieId"), pa.string()), films.column("title"), films.column("overview"))


def douban(folder: Path) -> pa.Table:
    """Films with title, summary, directors and actors."""
    films = pq.read_table(folder / "movies.parquet", columns=["movie", "title", "summary", "directors", "actors"])
    people = [
        json.dumps(dict(zip(PEOPLE, map(_split, both), strict=True)), ensure_ascii=False)
        for both in zip(films.column("directors").to_pylist(), films.column("actors").to_pylist(), strict=True)
    ]
    return as_items(pc.cast(films.column("movie"), pa.string()), films.column("title"), films.column("summary"), attributes=people)


def _split(names: str | None) -> list[str]:
    return [name.strip() for name in (names or "").split(",")]


def as_items(ids: pa.ChunkedArray, titles: pa.ChunkedArray, texts: pa.ChunkedArray, *, attributes: Sequence[str | None] = ()) -> pa.Table:
    """The mart `items`, everything else left out."""
    given = {"item_id": ids, "title": titles, "text": texts, "attributes": pa.array(attributes or [None] * len(ids), pa.string())}
    constant = {"tags": pa.array([[]] * len(ids), pa.list_(pa.string())), "is_catalogued": pa.repeat(pa.scalar(True), len(ids))}
    day = pa.repeat(pa.scalar(0, pa.int32()), len(ids)).cast(pa.date32())
    rest = {name: pa.nulls(len(ids), ITEMS.schema.field(name).type) for name in ("text_known_at", "category", "created_at")}
    return pa.table({**given, **constant, **rest, "day": day}).select(ITEMS.schema.names).cast(ITEMS.schema)


def measure(name: str, items: pa.Table) -> list[Row]:
    """Both halves by both linkers, one row per kind of name."""
    linkers: dict[str, Callable[[Half], Pairs]] = {"ours": ours, "exact substring": exact_substring, "exact words": exact_words}
    rows: list[Row] = []
    for half_name, parity in (("tuned", 0), ("held out", 1)):
        half = split(items, parity=parity)
        for linker, link in linkers.items():
            with timed() as timing:
                found = link(half)
            rows += [
                {"texts": name, "half": half_name, "names": kind, "linker": linker, **agreement(found, half=half, kind=kind)}
                | {"texts per cpu second": half.texts.num_rows / max(timing.cpu_seconds, 1e-9)}
                for kind in half.own
            ]
    return rows


def split(items: pa.Table, *, parity: int) -> Half:
    """The half of this parity, its triples masked; a name only it has keeps its place in the list of names, counted once."""
    is_read = pa.array(np.asarray(items.column("item_id"), dtype=object).astype(np.int64) % 2 == parity)
    everything = graph_of(items)
    known = graph_of(items.filter(pc.invert(is_read)))
    names = build_gazetteer(items, triples=everything)
    counted = build_gazetteer(items, triples=known).select(["name", "node_id", "kind", "num_items"])
    names = names.drop_columns(["num_items"]).join(counted, ["name", "node_id", "kind"])
    names = names.set_column(names.column_names.index("num_items"), "num_items", pc.fill_null(names.column("num_items"), 1))
    names = names.sort_by([("name", "ascending"), ("node_id", "ascending")])
    masked = items.set_column(items.column_names.index("attributes"), "attributes", pa.nulls(items.num_rows, pa.string()))
    texts = items.filter(pc.and_(is_read, pc.is_valid(items.column("text")))).select(["item_id", "text"])
    return Half(texts, names, own_names(texts, names, everything), masked, known)


def graph_of(items: pa.Table) -> pa.Table:
    """Triples of attributes alone."""
    return build_knowledge_graph(items, raw_knowledge=RAW_KNOWLEDGE.empty(), config=KnowledgeConfig(link_texts=False))


def own_names(texts: pa.Table, names: pa.Table, triples: pa.Table) -> dict[str, Pairs]:
    """Names of each film's own row by kind, whether its text holds them or not."""
    read = set(texts.column("item_id").to_pylist())
    own: dict[str, Pairs] = {}
    titles = names.filter(pc.equal(names.column("kind"), TITLE))
    titled = zip(titles.column("node_id").to_pylist(), titles.column("name").to_pylist(), strict=True)
    own["titles"] = {(item, name) for item, name in titled if item in read}
    rows = zip(*(triples.column(column).to_pylist() for column in ("head", "relation", "tail_name")), strict=True)
    people = {(head, name) for head, relation, name in rows if relation in PEOPLE and head in read}
    return {**own, **({"people": people} if people else {})}


def ours(half: Half) -> Pairs:
    """Our linker with its default settings."""
    linked = link_names(
        half.texts,
        gazetteer=half.gazetteer,
        company=read_company(half.items, triples=half.triples),
        min_confidence=KnowledgeConfig().min_confidence,
    )
    return set(zip(linked.column("item_id").to_pylist(), linked.column("name").to_pylist(), strict=True))


def exact_substring(half: Half) -> Pairs:
    """Every name that stands anywhere in the text, as it is written."""
    names = half.gazetteer.column("name").unique().to_pylist()
    texts = zip(half.texts.column("item_id").to_pylist(), half.texts.column("text").to_pylist(), strict=True)
    return {(item, name) for item, text in texts for name in names if name in text}


def exact_words(half: Half) -> Pairs:
    """The same, of English names whole words only."""
    texts = dict(zip(half.texts.column("item_id").to_pylist(), half.texts.column("text").to_pylist(), strict=True))
    return {(item, name) for item, name in exact_substring(half) if stands(name, text=texts[item])}


def stands(name: str, *, text: str) -> bool:
    """Whether `text` holds `name` as written; names that begin or end with a Latin letter on whole words."""
    left = r"(?<![A-Za-z0-9])" if name[0].isascii() else ""
    right = r"(?![A-Za-z0-9])" if name[-1].isascii() else ""
    return re.search(left + re.escape(name) + right, text) is not None


def agreement(found: Pairs, *, half: Half, kind: str) -> Row:
    """Recall of the own names that stand in the text; links, and the least precision they may have."""
    texts = dict(zip(half.texts.column("item_id").to_pylist(), half.texts.column("text").to_pylist(), strict=True))
    gold = {(item, name) for item, name in half.own[kind] if stands(name, text=texts[item])}
    others = {name for own_kind, own in half.own.items() if own_kind != kind for _, name in own}
    kinds = [TITLE] if kind == "titles" else list(PEOPLE)
    of_kind = half.gazetteer.filter(pc.is_in(half.gazetteer.column("kind"), value_set=pa.array(kinds))).column("name")
    named = set(of_kind.to_pylist()) - (others if kind == "titles" else set())
    linked = {(item, name) for item, name in found if name in named or (item, name) in half.own[kind]}
    right = len(linked & half.own[kind])
    return {
        "own names in text": len(gold),
        "recall": len(gold & found) / max(len(gold), 1),
        "links": len(linked),
        "precision at least": right / max(len(linked), 1),
    }


if __name__ == "__main__":
    main(parse_options(__doc__))
