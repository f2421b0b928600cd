"""The feedback log: what is acknowledged is on the disk, once, and survives a kill at any moment.

One thread writes. What waits while it syncs is written and synced together next (group
commit), so that many requests share one sync. Keys are looked up in that thread alone,
so that two requests with one key, however close, are one event.
"""

import asyncio
import fcntl
import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from ml.contracts.files import sync_directory
from ml.errors import FeedbackError, KeyReusedError
from serving.feedback.entry import Accepted, Feedback, to_line
from serving.feedback.keys import REMEMBERED, KeyMemory
from serving.feedback.segment_writer import MAX_SEGMENT_BYTES, SegmentWriter
from serving.feedback.segments import cut_torn_tail, read_accepted, segments

LOCK = "writer.lock"
# Requests that are written together at most: what a sync that fails may refuse.
MAX_BATCH = 4096

OnDurable = Callable[[Sequence[Accepted]], None]


@dataclass(frozen=True)
class _Request:
    given: tuple[Feedback, ...]
    answer: "Future[list[Accepted]]"


class FeedbackLog:
    """The log in `folder`, open for writing by this process alone.

    `clock` gives the time at which feedback counts. `on_durable` is told what is new after it is on the disk and
    before it is acknowledged, in the order of the log. Opening cuts what a kill left half written. Raises
    `FeedbackError` where another process writes the log.
    """

    def __init__(
        self,
        folder: Path,
        *,
        clock: Callable[[], datetime],
        on_durable: OnDurable | None = None,
        max_segment_bytes: int = MAX_SEGMENT_BYTES,
    ) -> None:
        self.folder = folder
        self._clock = clock
        self._on_durable = on_durable
        self._lock = _lock(folder)
        self._keys = KeyMemory()
        try:
            self._recover(now=clock())
        except BaseException:
            os.close(self._lock)
            raise
        self._writer = SegmentWriter(folder, max_bytes=max_segment_bytes)
        self._waiting: deque[_Request] = deque()
        self._changed = threading.Condition()
        self._refusal: str | None = None
        self._thread = threading.Thread(target=self._run, name="feedback-log", daemon=True)
        self._thread.start()

    async def append(self, feedback: Feedback) -> Accepted:
        """Returns when `feedback` is durable, with what was answered when it came first. Raises as `submit`'s answer does."""
        return (await self.append_all([feedback]))[0]

    async def append_all(self, given: Sequence[Feedback]) -> list[Accepted]:
        """The same for several, all or none of them."""
        return await asyncio.wrap_future(self.submit(given))

    def submit(self, given: Sequence[Feedback]) -> "Future[list[Accepted]]":
        """Have feedback written; the answer comes when all of it is durable, in the order given.

        The answer raises `KeyReusedError` where a key stands for other feedback and `FeedbackError` where the disk
        takes nothing or the log is closed; then nothing of `given` is acknowledged.
        """
        request = _Request(tuple(given), Future())
        with self._changed:
            if self._refusal is not None:
                raise FeedbackError(self._refusal)
            self._waiting.append(request)
            self._changed.notify()
        return request.answer

    def close(self) -> None:
        """Write what waits, then let another process have the log."""
        self._refuse("the feedback log is closed; the service is going down, send it again when it is back")
        self._thread.join()
        self._writer.close()
        if self._lock >= 0:
            os.close(self._lock)
        self._lock = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _recover(self, *, now: datetime) -> None:
        since = now - REMEMBERED
        for path in segments(self.folder, since=since.astimezone(UTC).date()):
            cut_torn_tail(path)
        for accepted in read_accepted(self.folder, since=since):
            self._keys.remember(accepted)

    def _run(self) -> None:
        batch: list[_Request] = []
        try:
            while batch := self._take():
                self._commit(batch)
        finally:
            # Also where a listener failed: nobody may wait for a thread that is gone.
            self._refuse("the feedback log has stopped; see the service's own log for why, then start it again")
            for request in (*batch, *self._waiting):
                if not request.answer.done():
                    request.answer.set_exception(FeedbackError(str(self._refusal)))

    def _refuse(self, why: str) -> None:
        with self._changed:
            self._refusal = self._refusal or why
            self._changed.notify_all()

    def _take(self) -> list[_Request]:
        """What waits, as soon as anything does; nothing once the log is closed and empty. A request that was cancelled is left out."""
        with self._changed:
            while True:
                self._changed.wait_for(lambda: self._waiting or self._refusal is not None)
                taken = [self._waiting.popleft() for _ in range(min(len(self._waiting), MAX_BATCH))]
                if batch := [request for request in taken if request.answer.set_running_or_notify_cancel()]:
                    return batch
                if self._refusal is not None and not self._waiting:
                    return []

    def _commit(self, batch: Sequence[_Request]) -> None:
        """Make what is new in a batch durable, tell of it, answer."""
        now = self._clock()
        new: dict[str, Accepted] = {}
        answers: list[tuple[_Request, list[Accepted]]] = []
        for request in batch:
            try:
                answers.append((request, self._answer(request.given, new=new, now=now)))
            except KeyReusedError as error:
                request.answer.set_exception(error)
        if new:
            try:
                self._writer.write(b"".join(map(to_line, new.values())), day=now.astimezone(UTC).date())
            except FeedbackError as error:
                for request, _ in answers:
                    request.answer.set_exception(error)
                return
            self._keys.forget(now=now)
            for accepted in new.values():
                self._keys.remember(accepted)
            if self._on_durable is not None:
                self._on_durable(list(new.values()))
        for request, answer in answers:
            request.answer.set_result(answer)

    def _answer(self, given: Sequence[Feedback], *, new: dict[str, Accepted], now: datetime) -> list[Accepted]:
        """What `given` is answered; feedback that was never given is added to `new`, all of it or none."""
        staged: dict[str, Accepted] = {}
        answers = []
        for feedback in given:
            known = staged.get(feedback.key) or new.get(feedback.key) or self._keys.answer(feedback)
            if known is not None and known.feedback != feedback:
                raise KeyReusedError(feedback.key)
            if known is None:
                known = staged[feedback.key] = Accepted(feedback, now)
            answers.append(known)
        new.update(staged)
        return answers


def _lock(folder: Path) -> int:
    """An open file that holds the folder's writer lock until it is closed, or this process dies."""
    folder.mkdir(parents=True, exist_ok=True)
    for above in (folder.parent, folder.parent.parent):
        sync_directory(above)
    path = folder / LOCK
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o640)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.pread(handle, 32, 0).decode(errors="replace").strip()
        os.close(handle)
        what = f"process {holder or 'unknown'} writes the feedback log {folder} already"
        raise FeedbackError(f"{what}; one process a dataset takes feedback: stop that one, or start the service with one worker") from error
    os.ftruncate(handle, 0)
    os.pwrite(handle, str(os.getpid()).encode(), 0)
    return handle
