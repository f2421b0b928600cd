"""What long work says on the way: `(done, total)` callbacks as lines with rate and time left, and a heartbeat."""

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

Progress = Callable[[int, int], None]


def logged_progress(log: Callable[[str], None], what: str, *, every_seconds: float = 5.0) -> Progress:
    """A progress callback that logs at most every few seconds, and once at the end if it logged before."""
    started = time.monotonic()
    last_logged = started

    def report(done: int, total: int) -> None:
        nonlocal last_logged
        now = time.monotonic()
        finished = done >= total and last_logged > started
        if now - last_logged < every_seconds and not finished:
            return
        last_logged = now
        rate = done / max(now - started, 1e-9)
        left = (total - done) / rate if rate else float("inf")
        log(f"{what}: {done:,} of {total:,} ({rate:,.0f}/s, {left:,.0f} s left)")

    return report


class Heartbeat:
    """Logs how things stand whenever nothing was logged for some seconds, whatever step is the long one."""

    def __init__(self, log: Callable[[str], None], *, every_seconds: float = 8.0) -> None:
        self._log, self._every_seconds = log, every_seconds
        self._status = "starting"
        self._started = self._last_logged = time.monotonic()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._ended.set()
        self._thread.join()

    def note(self, status: str) -> None:
        """Say it when the time comes."""
        self._status = status

    def say(self, line: str) -> None:
        """Say it now."""
        self._last_logged = time.monotonic()
        self._log(line)

    def _beat(self) -> None:
        while not self._ended.wait(self._every_seconds / 8):
            now = time.monotonic()
            if now - self._last_logged >= self._every_seconds:
                self.say(f"{self._status} ({now - self._started:,.0f} s)")
