"""Readers that ask without a pause while something else happens, and what they meet.

What is asked is the caller's: a function that returns the days that the rows of one answer are of.
"""

import multiprocessing
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.context import ForkContext
from multiprocessing.synchronize import Event

# The days that one answer's rows are of; None for a row that was not found.
Days = set[int | None]
Ask = Callable[[], Days]
FORK: ForkContext = multiprocessing.get_context("fork")
READER_PROCESSES, THREADS_EACH = 2, 25


@dataclass
class Readings:
    """What readers met: seconds of each answer, how many mixed days, what failed."""

    seconds: list[float] = field(default_factory=list)
    num_mixed: int = 0
    errors: list[str] = field(default_factory=list)

    def add(self, other: "Readings") -> None:
        """Count another reader's in."""
        self.seconds += other.seconds
        self.num_mixed += other.num_mixed
        self.errors += other.errors


def watched(asking: Callable[[], Ask], act: Callable[[], object]) -> tuple[Readings, float]:
    """What all readers meet while `act` runs, and its seconds."""
    stop, results = FORK.Event(), FORK.SimpleQueue()
    ready = FORK.Barrier(READER_PROCESSES + 1)

    def process() -> None:
        ask = asking()
        ready.wait()
        results.put(read_until(stop, ask, num_threads=THREADS_EACH))

    readers = [FORK.Process(target=process, daemon=True) for _ in range(READER_PROCESSES)]
    for reader in readers:
        reader.start()
    ready.wait()
    started = time.perf_counter()
    try:
        act()
    finally:
        stop.set()
    seconds = time.perf_counter() - started
    met = Readings()
    for _ in readers:
        met.add(results.get())
    for reader in readers:
        reader.join()
    return met, seconds


def read_until(stop: Event, ask: Ask, *, num_threads: int) -> Readings:
    """What threads that ask without a pause meet until they are told to stop."""
    parts = [Readings() for _ in range(num_threads)]

    def read(part: Readings) -> None:
        while not stop.is_set():
            read_once(part, ask)

    threads = [threading.Thread(target=read, args=(part,)) for part in parts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    met = Readings()
    for part in parts:
        met.add(part)
    return met


def read_once(part: Readings, ask: Ask) -> Days:
    """Ask once and count what comes; an answer with a row missing is an error."""
    started = time.perf_counter()
    try:
        days = ask()
    except Exception as error:  # noqa: BLE001  any failure of a reader is what is counted
        part.errors.append(f"{type(error).__name__}: {error}")
        return set()
    part.seconds.append(time.perf_counter() - started)
    part.num_mixed += len(days) > 1
    if None in days:
        part.errors.append("not found")
    return days
