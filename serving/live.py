"""Which snapshot is in force, and how the next one takes its place while requests go on.

A request asks `current` once and keeps what it got. A new generation is read beside the old one, in a thread of its own,
and takes over in one assignment; if it cannot be read, the old one stays and the reason is told.
"""

import logging
import threading
import time
from collections.abc import Callable
from datetime import timedelta

from feature_repo.generations import Generation
from ml.errors import InterestGraphError
from serving.snapshot import Snapshot

log = logging.getLogger(__name__)

Load = Callable[[Generation], Snapshot]
# Whatever stood in the way may have gone: a full memory, a disk that hung. A torn release shall not keep the processor busy.
RETRY_AFTER = timedelta(minutes=1)


class Live:
    """Follows the pointer to the live generation; `find` reads it, `load` makes a snapshot of what it names."""

    def __init__(
        self,
        *,
        find: Callable[[], Generation],
        load: Load,
        on_change: Callable[[Snapshot], None] = lambda _: None,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._find, self._load, self._on_change, self._seconds = find, load, on_change, seconds
        self._current: Snapshot | None = None
        self._generation_id: str | None = None
        # The generation that could not be read, and when it may be tried again.
        self._failed: tuple[str, float] | None = None
        self._alone = threading.Lock()
        self.problem: str | None = None

    @property
    def current(self) -> Snapshot | None:
        """What is in force; None before the first one was read."""
        return self._current

    def refresh(self) -> bool:
        """Take over what the pointer names, if that is another generation; whether it was.

        Whatever stands in the way is in `problem`, and the old snapshot stays; a generation that could not be read is tried again after
        `RETRY_AFTER`.
        """
        with self._alone:
            try:
                generation = self._find()
                if generation.generation_id == self._generation_id:
                    self._failed = self.problem = None
                    return False
                if self._failed is not None and self._failed[0] == generation.generation_id and self._seconds() < self._failed[1]:
                    return False
                self._failed = (generation.generation_id, self._seconds() + RETRY_AFTER.total_seconds())
                snapshot = self._load(generation)
                snapshot.warm()
                self._on_change(snapshot)
            except Exception as error:  # noqa: BLE001  (whatever it is, the old release goes on answering, and the pointer is still followed)
                self.problem = str(error) if isinstance(error, InterestGraphError) else f"{type(error).__name__}: {error}"
                log.error("the live generation cannot be read: %s", self.problem)
                return False
            self._current, self._generation_id, self._failed, self.problem = snapshot, generation.generation_id, None, None
            return True

    def follow(self, *, every: timedelta, stop: threading.Event) -> None:
        """Refresh until `stop`; the pointer is one small file, so often is cheap."""
        while not stop.wait(every.total_seconds()):
            self.refresh()
