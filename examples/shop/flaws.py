"""Rows that should not be there: broken ones, and odd ones that hold all the same.

Each is a copy of a good row with one field spoiled, put in between; the good
rows stay. What was done where is returned, and becomes part of the truth.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from examples.shop.landing import EVENT_COLUMNS, LandingFile

# (folder, what is wrong, column, value, how many). The value of invalid_utf8 is no text in any reading as UTF-8.
BROKEN = (
    ("events", "missing_user", "customer", b"", 2),
    ("events", "bad_timestamp", "occurred_at", b"2026-06-31T25:61:00Z", 2),
    ("events", "unknown_event_type", "action", b"wishlist", 1),
    ("events", "invalid_utf8", "sku", b"i\xff\xfe01", 1),
    ("events", "future_timestamp", "occurred_at", b"2031-01-01T00:00:00Z", 1),
    ("feedback", "invalid_rating", "stars", b"five stars", 2),
    ("feedback", "bad_timestamp", "posted_at", b"yesterday evening", 1),
)
# Good rows to live with: items no longer listed, deliveries that came twice.
ODD = (
    ("events", "unknown_item", "sku", b"i99001", 6),
    ("events", "unknown_item", "sku", b"i99002", 4),
    ("events", "repeated", None, b"", 20),
)


@dataclass(frozen=True)
class Flaw:
    """One inserted row: its file, its 1-based row there (headers do not count), and what it is."""

    file: str
    row: int
    what: str
    is_broken: bool


def insert_flaws(files: Sequence[LandingFile], *, rng: np.random.Generator) -> list[Flaw]:
    """Insert all flaws into `files` at random places, and say where."""
    planned: dict[str, list[tuple[int, bytes, str, bool]]] = {}
    files_in = {folder: [file for file in files if file.path.startswith(f"{folder}/") and file.rows] for folder in ("events", "feedback")}
    for is_broken, kinds in ((True, BROKEN), (False, ODD)):
        for folder, what, column, value, count in kinds:
            # A sample without any row of a kind has none to spoil.
            for _ in range(count if files_in[folder] else 0):
                file = files_in[folder][rng.integers(len(files_in[folder]))]
                row = _spoil(file.rows[rng.integers(len(file.rows))], column, value)
                planned.setdefault(file.path, []).append((int(rng.integers(len(file.rows) + 1)), row, what, is_broken))
    return [flaw for file in files if file.path in planned for flaw in _insert(file, planned[file.path])]


def _spoil(row: bytes, column: str | None, value: bytes) -> bytes:
    if column is None:
        return row
    if row.startswith(b"{"):
        return json.dumps({**json.loads(row), column: value.decode()}, ensure_ascii=False, separators=(",", ":")).encode()
    fields = row.split(b",")
    fields[EVENT_COLUMNS.index(column)] = value
    return b",".join(fields)


def _insert(file: LandingFile, planned: list[tuple[int, bytes, str, bool]]) -> list[Flaw]:
    flaws = []
    for already, (before, row, what, is_broken) in enumerate(sorted(planned)):
        file.rows.insert(before + already, row)
        flaws.append(Flaw(file.path, before + already + 1, what, is_broken))
    return flaws
