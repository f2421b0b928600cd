"""Turns `(done, total)` callbacks into log lines with rate and time left."""

import time
from collections.abc import Callable

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
