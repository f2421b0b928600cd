"""The names there are to look for: of entities in the knowledge graph, and titles of items.

A row per name and node; one name may stand for several nodes, which `ml.knowledge.disambiguation`
tells apart. Names without a capital or a Han character ("jealousy") are words, and words are the interest points' business.
"""

import pyarrow as pa
import pyarrow.compute as pc

TITLE = "title"
SCHEMA = pa.schema([
    ("name", pa.string()),
    ("node_id", pa.string()),
    ("node_type", pa.string()),
    ("kind", pa.string()),
    ("num_items", pa.int64()),
])  # fmt: skip

# "Matrix, The (1999)" is written "The Matrix" in prose; what stands in brackets is another title.
YEAR = r"\s*[(（]\d{4}([-–]\d{0,4})?[)）]\s*$"
BRACKETS = r"\s*[(（][^()（）]*[)）]\s*$"
ARTICLE_LAST = r"^(.+), (The|A|An|La|Le|Les|L'|El|Los|Las|Il|Lo|Gli|Der|Die|Das)$"
PROPER = r"^[^\p{L}]*\p{Lu}|\s\p{Lu}|\p{Han}.*\p{Han}"
# Of one letter, or of figures alone.
TOO_SHORT = r"^[^\p{L}]*\p{L}?[^\p{L}]*$"


def build_gazetteer(items: pa.Table, *, triples: pa.Table) -> pa.Table:
    """Names of the entities in `triples` (as `knowledge_graph`) and of catalogued `items`, sorted, each name and node once.

    `num_items` counts the items an entity is joined to; an item counts one.
    """
    named = pa.concat_tables([_entities(triples), _titles(items)])
    name = pc.utf8_trim_whitespace(pc.utf8_normalize(named.column("name"), form="NFKC"))
    named = named.set_column(0, "name", name)
    proper = pc.and_not(pc.match_substring_regex(name, PROPER), pc.match_substring_regex(name, TOO_SHORT))
    distinct = named.filter(proper).group_by(["name", "node_id", "node_type", "kind"]).aggregate([("num_items", "max")])
    ordered = distinct.rename_columns({"num_items_max": "num_items"}).sort_by([(column, "ascending") for column in SCHEMA.names[:4]])
    return ordered.select(SCHEMA.names).cast(SCHEMA)


def _entities(triples: pa.Table) -> pa.Table:
    entities = triples.filter(pc.equal(triples.column("tail_type"), "entity"))
    counted = entities.group_by("tail").aggregate([("tail_name", "min"), ("tail_kind", "min"), ("head", "count_distinct")])
    columns = {
        "name": counted.column("tail_name_min"),
        "node_id": counted.column("tail"),
        "node_type": pa.repeat(pa.scalar("entity"), counted.num_rows),
        "kind": counted.column("tail_kind_min"),
        "num_items": counted.column("head_count_distinct"),
    }
    return pa.table(columns).cast(SCHEMA)


def _titles(items: pa.Table) -> pa.Table:
    # An item known from events alone is titled by its id.
    named = items.filter(pc.and_(items.column("is_catalogued"), pc.not_equal(items.column("title"), items.column("item_id"))))
    whole = _without(named.column("title"), YEAR)
    short = _without(whole, BRACKETS)
    ids = named.column("item_id")
    columns = {
        "name": pa.chunked_array([*_in_order(whole).chunks, *_in_order(short).chunks], pa.string()),
        "node_id": pa.chunked_array([*ids.chunks, *ids.chunks], pa.string()),
        "node_type": pa.repeat(pa.scalar("item"), 2 * named.num_rows),
        "kind": pa.repeat(pa.scalar(TITLE), 2 * named.num_rows),
        "num_items": pa.repeat(pa.scalar(1, pa.int64()), 2 * named.num_rows),
    }
    return pa.table(columns).cast(SCHEMA)


def _without(titles: pa.ChunkedArray, ending: str) -> pa.ChunkedArray:
    return pc.replace_substring_regex(titles, pattern=ending, replacement="")


def _in_order(titles: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.replace_substring_regex(titles, pattern=ARTICLE_LAST, replacement=r"\2 \1")
