"""What is wrong with given triples, said so that somebody can mend it; the good rows go on.

Nothing is thrown away but empty ends, loops and repetitions: the others are shown, not judged.
"""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from ml.errors import Finding
from ml.knowledge.friends import without_friends
from ml.names import snake_case_names
from ml.words.stream import fold

NUM_SHOWN = 5
# All that tells two spellings of one name apart: case, accents, spaces and signs.
SIGNS = r"[^\p{L}\p{M}\p{N}]+"


def knowledge_findings(raw_knowledge: pa.Table, *, items: pa.Table) -> list[Finding]:
    """One finding per kind of fault, each with its number and its first places; none where nothing is wrong."""
    rows = raw_knowledge.sort_by([(name, "ascending") for name in ("source_file", "source_row", "head", "relation", "tail")])
    head, tail = (pc.utf8_trim_whitespace(rows.column(name)) for name in ("head", "tail"))
    relation = snake_case_names(rows.column("relation"))
    named = rows.set_column(0, "head", head).set_column(1, "relation", relation).set_column(2, "tail", tail)
    is_empty = pc.or_(pc.equal(head, ""), pc.equal(tail, ""))
    is_loop = pc.and_(pc.equal(head, tail), pc.invert(is_empty))
    whole = named.filter(pc.invert(pc.or_(is_empty, is_loop)))
    things = without_friends(whole)
    found = [
        _rows(named.filter(is_empty), "head or tail is empty; left out", "fill it in, or leave the row out with where:"),
        _rows(named.filter(is_loop), "head and tail are the same; left out", "leave the row out, or say what was meant"),
        _rows(named.filter(pc.equal(relation, "")), "the relation has no letter; called related", "name the relation"),
        _rows(_repeated(whole), "said before; counted once", "nothing need be done"),
        _mixed_tails(things, items=items),
        _near_names(things),
    ]
    return [finding for finding in found if finding is not None]


def _rows(rows: pa.Table, what: str, mend: str) -> Finding | None:
    shown = [
        f"{row['source_file']} row {row['source_row']}: {row['head']!r} {row['relation']!r} {row['tail']!r}"
        for row in rows.slice(0, NUM_SHOWN).to_pylist()
    ]
    return _finding(shown, rows.num_rows, "triple(s)", what, mend)


def _repeated(rows: pa.Table) -> pa.Table:
    """Rows whose triple stands in an earlier row."""
    key = ["head", "relation", "tail"]
    numbered = rows.append_column("row", pa.array(range(rows.num_rows), pa.int64()))
    first = numbered.group_by(key).aggregate([("row", "min")]).column("row_min")
    return rows.filter(pc.invert(pc.is_in(numbered.column("row"), value_set=first.combine_chunks())))


def _mixed_tails(rows: pa.Table, *, items: pa.Table) -> Finding | None:
    """Relations that lead to items here and to entities there: often item ids of another catalogue."""
    is_item = pc.cast(pc.is_in(rows.column("tail"), value_set=items.column("item_id").combine_chunks()), pa.int64())
    counted = rows.append_column("is_item", is_item).group_by("relation").aggregate([("is_item", "sum"), ([], "count_all")])
    num_items = counted.column("is_item_sum")
    mixed = counted.filter(pc.and_(pc.greater(num_items, 0), pc.less(num_items, counted.column("count_all"))))
    shown = [
        f"{row['relation']}: {row['is_item_sum']} of {row['count_all']} tails are items"
        for row in mixed.sort_by("relation").slice(0, NUM_SHOWN).to_pylist()
    ]
    mend = "fine where both are meant; else add the missing items to the catalogue, or write their ids as it does"
    return _finding(shown, mixed.num_rows, "relation(s)", "lead to items and to entities", mend)


def _near_names(rows: pa.Table) -> Finding | None:
    """Entities whose names differ by case, accents, spaces or signs alone."""
    names = pc.unique(pa.chunked_array([*rows.column("head").chunks, *rows.column("tail").chunks], pa.string()))
    key = pc.replace_substring_regex(fold(names), pattern=SIGNS, replacement="")
    spelled = pa.table({"key": key, "name": names}).filter(pc.not_equal(key, "")).sort_by("name")
    grouped = spelled.group_by("key", use_threads=False).aggregate([("name", "list")])
    several = grouped.filter(pc.greater(pc.list_value_length(grouped.column("name_list")), 1)).sort_by("key")
    shown = [" | ".join(row["name_list"]) for row in several.slice(0, NUM_SHOWN).to_pylist()]
    return _finding(shown, several.num_rows, "name(s)", "written in several ways, each a node of its own", "write each name one way")


def _finding(shown: Sequence[str], number: int, what: str, wrong: str, mend: str) -> Finding | None:
    if not number:
        return None
    more = f" and {number - len(shown)} more" if number > len(shown) else ""
    return Finding(f"{number} {what}", f"{wrong}: {'; '.join(shown)}{more}", mend)
