"""Catalogues and what people call their items: labels, each a question whose answers are the items that carry it.

A set says where its labels stand in the catalogue, so that `held_out` can take them out.
"""

import csv
import gzip
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.knowledge import as_items
from examples.shop.simulate import SampleSettings, write_sample
from ml.contracts.behaviour import ITEMS, RAW_KNOWLEDGE

MIN_ITEMS = 5
SEPARATOR = " > "


@dataclass(frozen=True)
class Label:
    """One thing items are called: the texts that ask for it, the items that are it, and every name of it that must not be met."""

    name: str
    texts: tuple[str, ...]
    item_ids: frozenset[str]
    names: frozenset[str]


@dataclass(frozen=True)
class Catalogue:
    """Items, given triples, labels; `where` is the column a label stands in, or `attribute:name`, or nothing (told by others alone)."""

    name: str
    items: pa.Table
    raw_knowledge: pa.Table
    labels: tuple[Label, ...]
    language: str
    where: str = ""


def movielens(folder: Path) -> Iterable[Catalogue]:
    """Films; labels are the free tags of users, which no column holds. Genres are tags here, and are not asked for."""
    films = pq.read_table(folder / "movies.parquet")
    tags = pq.read_table(folder / "tags.parquet", columns=["movieId", "tag"])
    carriers = _carriers(zip(tags.column("tag").to_pylist(), map(str, tags.column("movieId").to_pylist()), strict=True), fold=True)
    genres = [_split(genre, "|") for genre in films.column("genres").to_pylist()]
    attributes = [
        {"company": _split(company, "|"), "language": language, "keyword": _split(keyword, "|")}
        for company, language, keyword in zip(
            *(films.column(name).to_pylist() for name in ("companies", "original_language", "keywords")), strict=True
        )
    ]
    items = _items(_strings(films, "movieId"), films.column("title"), films.column("overview"), tags=genres, attributes=attributes)
    given = {genre.casefold() for some in genres for genre in some}
    labels = tuple(label for label in _labels(carriers) if label.name not in given)
    yield Catalogue("movielens, free tags", items, RAW_KNOWLEDGE.empty(), labels, "en")


def douban(folder: Path) -> Iterable[Catalogue]:
    """Chinese films; labels are genres, and people: directors and actors of at least three films."""
    films = pq.read_table(folder / "movies.parquet")
    lists = {
        name: [_split(value, ",") for value in films.column(name).to_pylist()] for name in ("type", "directors", "actors", "countries")
    }
    attributes = [
        {"person": sorted({*directors, *actors}), "country": countries}
        for directors, actors, countries in zip(lists["directors"], lists["actors"], lists["countries"], strict=True)
    ]
    ids = _strings(films, "movie")
    items = _items(ids, films.column("title"), films.column("summary"), tags=lists["type"], attributes=attributes)
    people = [row["person"] for row in attributes]
    for name, said, where, least in (("genres", lists["type"], "tags", MIN_ITEMS), ("people", people, "attribute:person", 3)):
        labels = tuple(_labels(_carriers(_pairs(ids, said)), least=least))
        yield Catalogue(f"douban, {name}", items, RAW_KNOWLEDGE.empty(), labels, "zh", where)


def scientific(folder: Path) -> Iterable[Catalogue]:
    """Industrial supplies; labels are category levels and brands. The text is the title alone."""
    with gzip.open(folder / "Scientific.text.gz", "rt", encoding="utf-8") as handle:
        rows = [line.rstrip("\n").split("\t", 1) for line in handle][1:]
    parted = [(item_id, *_parted(text)) for item_id, text in rows]
    levels = _levels([path for *_, path, _ in parted])
    ids = pa.chunked_array([pa.array([item_id for item_id, *_ in parted])])
    brands = [[brand] if brand else [] for *_, brand in parted]
    items = _items(
        ids,
        pa.chunked_array([pa.array([title for _, title, *_ in parted])]),
        pa.chunked_array([pa.nulls(len(parted), pa.string())]),
        categories=[SEPARATOR.join(levels[path]) or None for *_, path, _ in parted],
        attributes=[{"brand": brand} for brand in brands],
    )
    for name, said, where in (("categories", [levels[path] for *_, path, _ in parted], "category"), ("brands", brands, "attribute:brand")):
        yield Catalogue(f"scientific, {name}", items, RAW_KNOWLEDGE.empty(), tuple(_labels(_carriers(_pairs(ids, said)))), "en", where)


def shop(folder: Path) -> Iterable[Catalogue]:
    """The bundled sample, written to `folder`; labels are its simulated themes, asked for by their tags and keywords."""
    write_sample(folder, settings=SampleSettings())
    listed = [json.loads(line) for line in (folder / "catalogue" / "items.jsonl").read_text(encoding="utf-8").splitlines()]
    newest = list({row["sku"]: row for row in listed}.values())
    items = _items(
        _column(newest, "sku"),
        _column(newest, "name"),
        _column(newest, "description"),
        tags=[row.get("labels") or [] for row in newest],
        categories=[SEPARATOR.join([row["department"], row["shelf"]]) for row in newest],
        attributes=[row.get("attributes") or {} for row in newest],
    )
    carriers = _carriers((row["theme"], row["item_id"]) for row in _rows(folder / "truth" / "item_themes.csv"))
    terms: dict[str, dict[str, str]] = defaultdict(dict)
    for row in _rows(folder / "truth" / "themes.csv"):
        terms[row["theme"]][row["term"]] = row["kind"]
    labels = tuple(
        Label(theme, tuple(term for term, kind in terms[theme].items() if kind in {"tag", "keyword"}), carried, frozenset(terms[theme]))
        for theme, carried in sorted(carriers.items())
    )
    known = {name: pa.array([row[name] for row in _rows(folder / "catalogue" / "knowledge.csv")]) for name in ("head", "relation", "tail")}
    yield Catalogue("shop, themes", items, _raw_knowledge(known), labels, "auto", "tags")


READERS: Mapping[str, Callable[[Path], Iterable[Catalogue]]] = {
    "movielens-small-text": movielens,
    "zh-douban-movies-1000": douban,
    "amazon-scientific-text": scientific,
}


def _labels(carriers: Mapping[str, frozenset[str]], *, least: int = MIN_ITEMS) -> list[Label]:
    return [Label(name, (name,), ids, frozenset({name})) for name, ids in sorted(carriers.items()) if len(ids) >= least]


def _carriers(pairs: Iterable[tuple[str, str]], *, fold: bool = False) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for name, item_id in pairs:
        found[name.casefold().strip() if fold else name].add(item_id)
    return {name: frozenset(ids) for name, ids in found.items()}


def _pairs(ids: pa.ChunkedArray, lists: list[list[str]]) -> list[tuple[str, str]]:
    return [(name, item_id) for item_id, names in zip(ids.to_pylist(), lists, strict=True) for name in names]


def _parted(text: str) -> tuple[str, str, str]:
    """Title, path of categories and brand of a line: each ends in a full stop, the path begins with the department."""
    title, _, rest = text.partition(" Industrial & Scientific ")
    path, _, brand = rest.strip().rstrip(".").rpartition(". ")
    return title.strip().rstrip("."), path, brand


def _levels(paths: list[str]) -> dict[str, list[str]]:
    """Category levels of each path: names are not parted in it, but a path that is whole on another item is a level above."""
    whole = set(paths)
    found: dict[str, list[str]] = {}
    for path in whole:
        words, levels, start = path.split(), [], 0
        for end in range(1, len(words) + 1):
            if " ".join(words[:end]) in whole:
                levels.append(" ".join(words[start:end]))
                start = end
        found[path] = levels
    return found


def _items(
    ids: pa.ChunkedArray,
    titles: pa.ChunkedArray,
    texts: pa.ChunkedArray,
    *,
    tags: list[list[str]] | None = None,
    categories: list[str | None] | None = None,
    attributes: Sequence[Mapping[str, object]],
) -> pa.Table:
    table = as_items(ids, titles, texts, attributes=[json.dumps(row, ensure_ascii=False) for row in attributes])
    given = {
        "tags": pa.array(tags or [[]] * len(ids), pa.list_(pa.string())),
        "category": pa.array(categories or [None] * len(ids), pa.string()),
    }
    for name, column in given.items():
        table = table.set_column(table.column_names.index(name), name, column)
    return ITEMS.conform(table.sort_by("item_id"))


def _raw_knowledge(columns: Mapping[str, pa.Array]) -> pa.Table:
    size = len(columns["head"])
    told = {**columns, "source_file": pa.repeat("knowledge.csv", size), "source_row": pa.array(range(1, size + 1))}
    return pa.table(
        [told.get(name, pa.nulls(size, RAW_KNOWLEDGE.schema.field(name).type)) for name in RAW_KNOWLEDGE.schema.names],
        schema=RAW_KNOWLEDGE.schema,
    )


def _column(rows: list[dict[str, str]], name: str) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array([row[name] for row in rows], pa.string())])


def _strings(table: pa.Table, name: str) -> pa.ChunkedArray:
    return pc.cast(table.column(name), pa.string())


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))


def _split(value: str | None, mark: str) -> list[str]:
    return [part.strip() for part in (value or "").split(mark) if part.strip() and part != "(no genres listed)"]
