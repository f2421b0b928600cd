"""`interest-graph` run as a user runs it, in a process of its own: what it printed, what it cost.

Which data sets there are is here too, so that every benchmark that runs the program
runs it on the same ones.
"""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.report import data_folder

REPOSITORY = Path(__file__).resolve().parents[1]
PROGRAM = Path(sys.executable).with_name("interest-graph")
REAL_SETS = {
    "movielens": "movielens-small-text",
    "douban-zh": "zh-douban-movies-1000",
    "musical-instruments": "amazon-musical-instruments-reviews",
    "retailrocket": "retailrocket-multibehavior",
    "lastfm": "lastfm-kg",
    "bookcrossing": "bookcrossing-kg",
    "goodbooks": "goodbooks-10k-v1",
}


@dataclass(frozen=True)
class Finished:
    """One call: its two outputs, exit code, seconds on the clock and of processor time (children included), peak resident bytes."""

    out: str
    log: str
    code: int
    wall_seconds: float
    cpu_seconds: float
    peak_bytes: int


def run_program(*arguments: str, environ: Mapping[str, str]) -> Finished:
    """Run `interest-graph` with `arguments`; a failed run is returned, not raised."""
    started, used = time.perf_counter(), _child_cpu_seconds()
    command = [str(PROGRAM), *arguments]
    process = subprocess.Popen(command, env=dict(environ), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)  # noqa: S603
    watch = MemoryWatch(process.pid)
    watch.start()
    out, log = process.communicate()
    wall_seconds, cpu_seconds = time.perf_counter() - started, _child_cpu_seconds() - used
    watch.join()
    return Finished(out, log, process.returncode, wall_seconds, cpu_seconds, watch.peak_bytes)


def environment(home: Path | str) -> dict[str, str]:
    """The environment of a run with this home; dataset files of real sets find their data."""
    environ = os.environ | {"INTEREST_GRAPH_HOME": str(home), "DAGSTER_HOME": f"{home}/dagster"}
    data = data_folder(next(iter(REAL_SETS.values())))
    return environ | {"INTEREST_GRAPH_DATA": str(data.parent)} if data is not None else environ


def dataset_option(dataset_file: Path | None) -> Sequence[str]:
    """`--dataset FILE`, or nothing for the bundled sample."""
    return ("--dataset", str(dataset_file)) if dataset_file else ()


def real_dataset_files(names: Sequence[str] = tuple(REAL_SETS)) -> dict[str, Path]:
    """The dataset files of those real sets that are on this machine."""
    return {name: REPOSITORY / "examples" / f"{name}.yaml" for name in names if data_folder(REAL_SETS[name]) is not None}


class MemoryWatch(threading.Thread):
    """The largest resident size of a process and its children, sampled ten times a second."""

    def __init__(self, process_id: int) -> None:
        super().__init__(daemon=True)
        self._process = psutil.Process(process_id)
        self.peak_bytes = 0

    def run(self) -> None:
        """Sample until the process is gone."""
        try:
            while self._process.is_running() and self._process.status() != psutil.STATUS_ZOMBIE:
                self.peak_bytes = max(self.peak_bytes, _resident_bytes(self._process))
                time.sleep(0.1)
        except psutil.NoSuchProcess:
            return


def _resident_bytes(process: psutil.Process) -> int:
    total = 0
    for member in [process, *process.children(recursive=True)]:
        try:
            total += member.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total


def _child_cpu_seconds() -> float:
    spent = os.times()
    return spent.children_user + spent.children_system
