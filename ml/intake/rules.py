"""The row rules of the input contract: what keeps a row out, said with its mend.

A rule is SQL over the typed row: its own columns, `bad_<column>` where a value
could not be read, `bad_where`, and the parameter `$now`.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from ml.intake.feedback import weights_of
from ml.intake.hidden import INVALID_TEXT, NOT_AN_OBJECT
from ml.intake.mapping import KINDS, REQUIRED, Kind
from ml.intake.schema import Dataset, Source
from ml.intake.session import identifier, literal

WHERE = "where"
LINE_COLUMN = "line"


@dataclass(frozen=True)
class Rule:
    """A row for which `condition` holds breaks the contract; `reason` is SQL that gives a text."""

    column: str
    condition: str
    reason: str
    mend: str


def rules(dataset: Dataset, table: str, source: Source) -> list[Rule]:
    """Every rule a row of `source` must keep."""
    return [*_unreadable(table, source), *_missing(table), *_event_rules(dataset, table, source), *_title(table, source)]


def broken_line_mend(reason: str) -> str:
    """How to mend a line that could not be taken apart."""
    if reason == INVALID_TEXT:
        return "write the file in UTF-8, or set encoding: to its own (latin-1, gb18030, ...)"
    if reason == NOT_AN_OBJECT:
        return "write one JSON object a line"
    return "quote fields that hold the delimiter, a quote or a line break, or set delimiter: and quote:"


def _unreadable(table: str, source: Source) -> Iterator[Rule]:
    for name, kind in KINDS[table].items():
        if name in source.columns:
            reason, mend = _unreadable_words(name, "text" if isinstance(source.columns[name], dict) else kind)
            yield Rule(name, identifier(f"bad_{name}"), literal(reason), f"{mend}; it is mapped as {_shown(source.columns[name])}")
    if source.where is not None:
        mend = f"write the condition so that it holds or fails on every row: {source.where}"
        yield Rule(WHERE, "bad_where", literal("the source's condition cannot be evaluated on this row"), mend)


def _shown(expression: str | dict[str, str]) -> str:
    return expression if isinstance(expression, str) else ", ".join(f"{name}: {part}" for name, part in expression.items())


def _unreadable_words(name: str, kind: Kind) -> tuple[str, str]:
    if kind == "number":
        return f"{name} is not a number", "write it with a decimal point, or leave it empty"
    if kind == "time":
        how = "write ISO 8601 (2024-05-31T10:00:00+08:00) of 1900 or later, or map epoch seconds with to_timestamp(...)"
        return f"{name} is not a readable time", how
    if kind == "object":
        return f"{name} is not a JSON object", 'write {"name": "value", ...}, or map single attributes'
    return f"{name} cannot be computed from this row", "mend the row or the expression"


def _missing(table: str) -> Iterator[Rule]:
    for name in REQUIRED[table]:
        condition = f"{identifier(name)} IS NULL AND NOT {identifier(f'bad_{name}')}"
        yield Rule(
            name,
            condition,
            literal(f"{name} is missing"),
            f"every row of {table} needs {name}; fill it in, or leave the row out with where:",
        )


def _title(table: str, source: Source) -> Iterator[Rule]:
    # Where the mapping gives no title at all the id stands in for it; see `ml.intake.landing`.
    if table == "items" and "title" in source.columns:
        yield Rule(
            "title", "title IS NULL AND NOT bad_title", literal("title is empty"), "give the item a name; coalesce(title, item_id) would do"
        )


def _event_rules(dataset: Dataset, table: str, source: Source) -> Iterator[Rule]:
    if table != "events":
        return
    worth = weights_of(dataset, source)
    yield Rule(
        "item_id",
        "item_id IS NULL AND text IS NULL AND NOT bad_item_id AND NOT bad_text",
        literal("item_id is missing, and there is no text either"),
        "name the item, or give the words of a search",
    )
    types = ", ".join(literal(event_type) for event_type in worth)
    known = ", ".join(worth)
    yield Rule(
        "event_type",
        f"event_type NOT IN ({types})",
        "'event type ''' || event_type || ''' has no weight'",
        f"add it to weights (there: {known}), or leave such rows out with where:; a constant type needs quotes: \"'view'\"",
    )
    yield Rule(
        "event_at",
        "event_at > $now",
        literal("event_at is in the future"),
        "check the clock that wrote it, its time zone, and seconds against milliseconds",
    )
    weights = " ".join(f"WHEN {literal(name)} THEN TRY(CAST(({weight}\n) AS DOUBLE))" for name, weight in worth.items())
    shown = " ".join(f"WHEN {literal(name)} THEN {literal(weight)}" for name, weight in worth.items())
    yield Rule(
        "value",
        f"event_type IN ({types}) AND NOT bad_value AND isfinite(CASE event_type {weights} END) IS NOT TRUE",
        f"'the weight `' || (CASE event_type {shown} END) || '` of event type ''' || event_type || ''' gives no number'",
        "give the event its value, or write a weight that needs none, e.g. coalesce(value, 3) - 3",
    )
