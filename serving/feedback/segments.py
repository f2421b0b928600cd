"""The files of the feedback log: one a UTC day, more where a day says much; names in the order of time.

An entry lies in a file of its own day or of a later one, never of an earlier one, so
that what was said since a moment is found by name. Reading needs no lock.
"""

import os
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

from serving.feedback.entry import Accepted, from_line, is_whole

_NAME = re.compile(r"(\d{4}-\d{2}-\d{2})-(\d{4,})\.jsonl")


def segment_path(folder: Path, *, day: date, number: int) -> Path:
    """Where the `number`-th file of a day lies."""
    return folder / f"{day.isoformat()}-{number:04d}.jsonl"


def segment_place(path: Path) -> tuple[date, int]:
    """Day and number of a file of the log; raises `ValueError` for another name."""
    found = _NAME.fullmatch(path.name)
    if found is None:
        raise ValueError(f"{path} is no file of the feedback log; move it out of its folder")
    return date.fromisoformat(found[1]), int(found[2])


def segments(folder: Path, *, since: date = date.min) -> list[Path]:
    """The files that may hold entries of `since` or later, oldest first."""
    found = [path for path in folder.glob("*.jsonl") if _NAME.fullmatch(path.name)]
    return sorted((path for path in found if segment_place(path)[0] >= since), key=segment_place)


def read_accepted(folder: Path, *, since: datetime) -> Iterator[Accepted]:
    """Every whole entry whose time is `since` or later, in the order they were accepted; torn lines are passed over."""
    for path in segments(folder, since=since.astimezone(UTC).date()):
        with path.open("rb") as handle:
            for line in handle:
                if is_whole(line) and (accepted := from_line(line)).event_at >= since:
                    yield accepted


def cut_torn_tail(path: Path) -> int:
    """Cut what follows the last whole entry of a file: a write that was never acknowledged. Returns the bytes cut."""
    end = position = 0
    with path.open("r+b") as handle:
        for line in handle:
            position += len(line)
            if is_whole(line):
                end = position
        if end < position:
            handle.truncate(end)
            os.fsync(handle.fileno())
    return position - end
