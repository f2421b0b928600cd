"""What the landing files of a simulated shop say happened, by the standard library alone.

An independent reading of docs/dataset-files.md for the sample's own formats and for `late/*.csv`, the
source with given event ids that `with_late_source` adds. Nothing here imports intake, SQL or features.
"""

import csv
import gzip
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path

LATE_COLUMNS = ("ref", "customer", "sku", "action", "happened_at", "stars", "words")
LATE_SOURCE = """\
  events:
    - path: late/*.csv
      columns:
        event_id: ref
        user_id: customer
        item_id: sku
        event_type: action
        event_at: happened_at
        value: stars
        text: words
"""
WORTH = {"view": 1.0, "cart": 2.0, "purchase": 4.0, "search": 0.0}
RATED = ("rating", "review")


@dataclass(frozen=True)
class LandedEvent:
    """One good row of a landing file; `is_superseded`: a newer delivery of the same event counts instead."""

    given_id: str | None
    user: str
    item: str | None
    kind: str
    at: datetime
    value: float | None
    text: str | None
    session: str | None
    place: tuple[int, str, int]
    is_superseded: bool = False

    @property
    def day(self) -> date:
        """The UTC day."""
        return self.at.date()

    @property
    def weight(self) -> float:
        """What it is worth by the sample's dataset file."""
        return 2 * (self.value - 3) if self.kind in RATED and self.value is not None else WORTH[self.kind]

    @property
    def identity(self) -> tuple[object, ...]:
        """Deliveries of equal identity are one event."""
        if self.given_id is not None:
            return (self.given_id, self.user)
        return (self.user, self.item, self.kind, self.at, self.value, self.text)


def with_late_source(dataset_file: Path, *, start: date | None = None) -> None:
    """Add `late/*.csv` to the sample's dataset file, and begin on `start`."""
    text = dataset_file.read_text(encoding="utf-8").replace("  events:\n", LATE_SOURCE, 1)
    lines = [f"start: {start}" if start and line.startswith("start:") else line for line in text.splitlines()]
    dataset_file.write_text("\n".join([*lines, ""]), encoding="utf-8")


def write_late(folder: Path, name: str, rows: Iterable[Sequence[object]]) -> Path:
    """A file of the late source; a moment is written in UTC with its microseconds."""
    path = folder / "late" / name
    path.parent.mkdir(exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(LATE_COLUMNS)
        writer.writerows([field.isoformat() if isinstance(field, datetime) else field for field in row] for row in rows)
    return path


def landed_events(folder: Path, *, now: datetime) -> list[LandedEvent]:
    """Every good delivery in the landing files below `folder`."""
    good = [event for event in _deliveries(folder) if event.at <= now]
    newest: dict[tuple[object, ...], LandedEvent] = {}
    for event in good:
        known = newest.get(event.identity)
        if known is None or event.place > known.place:
            newest[event.identity] = event
    return [event if newest[event.identity] is event else replace(event, is_superseded=True) for event in good]


def listed_items(folder: Path) -> list[tuple[str, datetime]]:
    """Every row of the catalogue: the item, and when this text of it was listed."""
    lines = [line for path in sorted(folder.glob("catalogue/items*.jsonl")) for line in path.read_text(encoding="utf-8").splitlines()]
    return [(row["sku"], _moment(row["listed_at"])) for row in map(json.loads, lines)]


def _deliveries(folder: Path) -> Iterator[LandedEvent]:
    for path, number, row in _rows(folder):
        try:
            event = _event(row, place=(int(path.stat().st_mtime), path.relative_to(folder).as_posix(), number))
        except (KeyError, ValueError):
            continue
        yield event


def _rows(folder: Path) -> Iterator[tuple[Path, int, dict[str, object]]]:
    """File, 1-based row, fields; a line that is no UTF-8 has none."""
    for path in sorted([*folder.glob("events/*.csv.gz"), *folder.glob("late/*.csv"), folder / "searches.csv"]):
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        lines = content.decode("utf-8", errors="surrogateescape").splitlines()
        for number, row in enumerate(csv.DictReader(lines), start=1):
            whole = "".join(str(field) for field in row.values())
            yield path, number, {} if any("\udc80" <= letter <= "\udcff" for letter in whole) else dict(row)
    for path in sorted(folder.glob("feedback/*.jsonl.gz")):
        for number, line in enumerate(gzip.decompress(path.read_bytes()).decode().splitlines(), start=1):
            yield path, number, json.loads(line)


def _event(row: dict[str, object], *, place: tuple[int, str, int]) -> LandedEvent:
    """The event of a row. Raises `KeyError` or `ValueError` for one that breaks the contract."""
    said = {name: str(field) for name, field in row.items() if field not in {None, ""}}
    event = LandedEvent(
        given_id=said.get("ref"),
        user=said["customer"],
        item=said.get("sku"),
        kind=said.get("action") or said.get("kind") or "search",
        at=_moment(said.get("occurred_at") or said.get("posted_at") or said.get("searched_at") or said["happened_at"]),
        value=float(said["stars"]) if "stars" in said else None,
        text=said.get("body") or said.get("query") or said.get("words"),
        session=said.get("visit"),
        place=place,
    )
    if event.kind not in {*WORTH, *RATED} or (event.item is None and event.text is None):
        raise ValueError("no known type, or neither item nor words")
    if event.kind in RATED and event.value is None:
        raise ValueError("a rating without its number")
    return event


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
