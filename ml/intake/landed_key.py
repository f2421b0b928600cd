"""What decides the rows a landing file gives, as the key they are kept under.

Everything that could change one of them is in it; a mapping whose rows something
else decides (the clock, chance, a file it names itself) has no key.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import duckdb

from ml.intake.feedback import weights_of
from ml.intake.files import LandingFile
from ml.intake.json_lines import Shape
from ml.intake.mapping import KINDS
from ml.intake.schema import SOURCE_RELATION, Dataset, Source

VOLATILE = re.compile(
    r"\b(random|setseed|(gen_random_)?uuid\w*|now|today|age|(get_)?current_\w+|transaction_timestamp|nextval|currval|getenv|getvariable"
    r"|read_\w+|\w+_scan|glob|query|query_table|sniff_csv)\s*\(|\bcurrent_(date|time|timestamp)\b|\blocaltime",
    re.IGNORECASE,
)
# What may read a column without naming it: `*`, a position, the whole row of `source`, a natural join.
UNNAMED = re.compile(rf"\*|#\d|\b{SOURCE_RELATION}\b(?!\s*\.)|\bnatural\b", re.IGNORECASE)


def source_key(dataset: Dataset, table: str, source: Source, *, lookups: Mapping[str, Sequence[LandingFile]]) -> str | None:
    """What decides the rows of every file of a source: mapping, rules, lookups and code; None where something else might."""
    files = [file for found in lookups.values() for file in found]
    if any(file.is_remote for file in files) or not _is_self_contained(dataset, table, source):
        return None
    decides = {
        "code": _code(),
        "columns": KINDS[table],
        "table": table,
        "source": source.model_dump(mode="json", exclude={"path"}),
        "lookups": {name: [identity(file) for file in found] for name, found in lookups.items()},
        "timezone": dataset.timezone,
        # Their order is part of what a rejection says.
        "weights": list(weights_of(dataset, source).items()) if table == "events" else [],
    }
    return _sha256(decides)


def file_key(source: str, file: LandingFile, *, shape: Shape | None = None) -> str:
    """The key of one file's rows; a JSON file's columns depend on the `shape` of all files of its source."""
    return _sha256([source, identity(file), None if shape is None else [list(column) for column in shape]])


def keys_key(file: LandingFile) -> str:
    """The key of what a JSON file says of its keys, which no mapping changes."""
    return _sha256([_code(), identity(file), file.options.model_dump(mode="json", include={"encoding"})])


def identity(file: LandingFile) -> list[str | int | None]:
    """A file and its state."""
    return [file.name, file.location, file.num_bytes, file.modified_ns]


def read_columns(shape: Shape, source: Source) -> Shape:
    """The columns of a JSON source that its mapping may read: those whose name stands in it."""
    text = _text(source)
    if UNNAMED.search(text):
        return shape
    folded = text.casefold().replace('""', '"')
    return tuple(column for column in shape if column.key.casefold() in folded or column.name.casefold() in folded)


def _is_self_contained(dataset: Dataset, table: str, source: Source) -> bool:
    expressions = _expressions(source)
    weights = weights_of(dataset, source).values() if table == "events" else ()
    if any(VOLATILE.search(text) for text in (*expressions, *weights, source.join or "")):
        return False
    # Expressions are evaluated in TRY(), which takes no subquery; a join may read anything.
    if source.join is None:
        return True
    with duckdb.connect(":memory:") as connection:
        named = connection.get_table_names(f"SELECT 1 FROM {SOURCE_RELATION} {source.join}\n")
    return named <= {SOURCE_RELATION, *source.lookups}


def _expressions(source: Source) -> list[str]:
    parts = [part for given in source.columns.values() for part in ([given] if isinstance(given, str) else given.values())]
    return [*parts, *([source.where] if source.where is not None else [])]


def _text(source: Source) -> str:
    return "\n".join([*_expressions(source), source.join or ""])


@cache
def _code() -> str:
    digest = hashlib.sha256(duckdb.__version__.encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _sha256(content: object) -> str:
    return hashlib.sha256(json.dumps(content, ensure_ascii=False).encode("utf-8", "surrogatepass")).hexdigest()
