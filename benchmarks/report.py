"""What every benchmark shares: options, timing, one table on screen, one JSON file.

A benchmark module measures and hands its rows to `publish`; nothing here knows
what is measured.
"""

import argparse
import json
import os
import platform
import resource
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import psutil

Value = str | int | float | bool | None
Row = Mapping[str, Value]
Found = TypeVar("Found")


@dataclass(frozen=True)
class Options:
    """What was asked on the command line."""

    quick: bool
    json_path: Path | None
    only: tuple[str, ...] = ()


@dataclass
class Timing:
    """Seconds of a measured block: on the clock, and of processor time over all threads."""

    wall_seconds: float = 0.0
    cpu_seconds: float = 0.0


@dataclass
class Cost:
    """Seconds of a measured block, and by how much resident memory grew at its peak."""

    timing: Timing = field(default_factory=Timing)
    grown_bytes: int = 0


def parse_options(description: str | None, arguments: Sequence[str] | None = None) -> Options:
    """Read `--quick`, `--json FILE` and `--only NAME ...`; `description` (the module's docstring) is the help."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a smaller run for a first look; its figures are rougher")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the table to this file")
    parser.add_argument("--only", nargs="*", default=(), metavar="NAME", help="data sets to measure, where the benchmark has several")
    found = parser.parse_args(arguments)
    return Options(quick=found.quick, json_path=found.json, only=tuple(found.only))


def asked(sets: Mapping[str, Found], *, options: Options) -> dict[str, Found]:
    """The data sets that `--only` names, all of them where it names none."""
    return {name: found for name, found in sets.items() if not options.only or name in options.only}


@contextmanager
def timed() -> Iterator[Timing]:
    """Measure a block; the fields are set when it ends."""
    timing = Timing()
    wall, cpu = time.perf_counter(), time.process_time()
    yield timing
    timing.wall_seconds = time.perf_counter() - wall
    timing.cpu_seconds = time.process_time() - cpu


@contextmanager
def costed() -> Iterator[Cost]:
    """Measure a block: seconds, and peak resident memory above where it started, sampled."""
    cost, process, done = Cost(), psutil.Process(), threading.Event()
    before = process.memory_info().rss

    def watch() -> None:
        while not done.wait(0.01):
            cost.grown_bytes = max(cost.grown_bytes, process.memory_info().rss - before)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        with timed() as cost.timing:
            yield cost
    finally:
        done.set()
        watcher.join()


def peak_memory_gib() -> float:
    """Largest resident size of this process so far, in GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def machine() -> dict[str, Value]:
    """What the figures were measured on."""
    return {"processor": _processor_name(), "cores": os.cpu_count(), "system": platform.system(), "python": platform.python_version()}


def data_folder(name: str) -> Path | None:
    """The folder of a real data set, from INTEREST_GRAPH_DATA or beside the checkout; None where it is not here."""
    beside = Path(__file__).resolve().parents[1].parent / "shared" / "data"
    folder = Path(os.environ.get("INTEREST_GRAPH_DATA", beside)) / name
    return folder if folder.exists() else None


def publish(name: str, rows: Sequence[Row], *, options: Options, notes: Sequence[str] = ()) -> None:
    """Print the table with its notes, and write it as JSON where a file was asked for."""
    where = machine()
    print(f"\n{name}{' (quick)' if options.quick else ''} on {where['processor']}, {where['cores']} cores\n")
    print(as_table(rows))
    for note in notes:
        print(f"\n{note}")
    if options.json_path is not None:
        content = {"benchmark": name, "quick": options.quick, "machine": where, "rows": [dict(row) for row in rows], "notes": list(notes)}
        options.json_path.parent.mkdir(parents=True, exist_ok=True)
        options.json_path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def as_table(rows: Sequence[Row]) -> str:
    """Rows as an aligned Markdown table; the columns are those of all rows, in order of appearance."""
    columns = list(dict.fromkeys(column for row in rows for column in row))
    cells = [columns, *([_shown(row.get(column)) for column in columns] for row in rows)]
    widths = [max(len(line[place]) for line in cells) for place in range(len(columns))]
    lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in cells]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([lines[0], rule, *lines[1:]])


def _shown(value: Value) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.5g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _processor_name() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
