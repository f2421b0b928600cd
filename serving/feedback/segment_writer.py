"""The end of the feedback log: bytes are on the disk when `write` returns, or nothing of them counts.

A file of which a write or sync failed is never written again: what the system then
holds of it is unknown (the lesson of PostgreSQL's "fsyncgate"). The next write begins another file.
"""

import errno
import os
from datetime import date
from pathlib import Path

from ml.contracts.files import sync_directory
from ml.errors import FeedbackError
from serving.feedback.segments import segment_path, segment_place, segments

MAX_SEGMENT_BYTES = 32 << 20


class SegmentWriter:
    """Appends to the newest file of a folder; one writer a folder."""

    def __init__(self, folder: Path, *, max_bytes: int = MAX_SEGMENT_BYTES) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._path: Path | None = None
        self._handle = -1
        self._num_bytes = 0

    def write(self, content: bytes, *, day: date) -> None:
        """Append whole lines of `day`, and have them reach the disk.

        Raises `FeedbackError` where the disk does not take them; they are then cut off again, or stand in a file nobody continues.
        """
        try:
            self._open(day)
            self._append(content)
        except OSError as error:
            self._give_up()
            what = f"the feedback log {self._path or self._folder} cannot be written: {error.strerror or error}"
            raise FeedbackError(f"{what}; make room or mend the disk, then send it again") from error
        self._num_bytes += len(content)

    def close(self) -> None:
        """Close the file; another write opens one again."""
        if self._handle >= 0:
            os.close(self._handle)
        self._handle = -1

    def _append(self, content: bytes) -> None:
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(self._handle, rest) :]
        # The size counts as data: what is needed to read the bytes back is synced too.
        os.fdatasync(self._handle)
        if not os.fstat(self._handle).st_nlink:
            raise OSError(errno.ENOENT, "the file was deleted while it was written")

    def _open(self, day: date) -> None:
        """Have the newest file open if it takes more of `day`, else a new one."""
        newest = self._path or next(iter(segments(self._folder)[::-1]), None)
        if self._handle >= 0 and newest and segment_place(newest)[0] >= day and self._num_bytes < self._max_bytes:
            return
        self.close()
        self._path = self._next(newest, day)
        self._handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640)
        self._num_bytes = os.fstat(self._handle).st_size
        sync_directory(self._folder)

    def _next(self, newest: Path | None, day: date) -> Path:
        if newest is None:
            return segment_path(self._folder, day=day, number=1)
        newest_day, number = segment_place(newest)
        if newest_day < day:
            return segment_path(self._folder, day=day, number=1)
        is_continued = self._path is None and newest.stat().st_size < self._max_bytes
        return newest if is_continued else segment_path(self._folder, day=newest_day, number=number + 1)

    def _give_up(self) -> None:
        if self._handle < 0:
            return
        try:
            os.ftruncate(self._handle, self._num_bytes)
            os.fsync(self._handle)
        except OSError:
            # Cut when the log is opened next; until then its lines are events that nobody was promised.
            pass
        finally:
            self.close()
