"""Open stores that follow the pointer: each look-up is answered by one generation as a whole.

The pointer costs one `stat` a look-up; a generation is opened once. A reader of a
generation that a publish removes meanwhile asks the next one again. Where the next one
cannot be opened, the one that is open goes on answering, and the log says why.
"""

import logging
import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from feast import FeatureStore
from feast.errors import FeastError
from feast.repo_config import RepoConfig

from feature_repo.definitions import JOIN_KEYS, SERVICES
from feature_repo.generations import Generation, GenerationStore
from feature_repo.repository import reading_config
from ml.config import DatasetHome
from ml.config.pipeline import FeatureStoreConfig
from ml.errors import PublishError

log = logging.getLogger(__name__)

# Whatever stood in the way may have gone; to try with every look-up would keep all of them waiting.
RETRY_SECONDS = 5.0
Answer = TypeVar("Answer")
StoreMaker = Callable[[RepoConfig], FeatureStore]


def plain_store(config: RepoConfig) -> FeatureStore:
    """Feast's own store."""
    return FeatureStore(config=config)


@dataclass(frozen=True)
class OpenGeneration:
    """A generation and its feature store, connected."""

    generation: Generation
    store: FeatureStore


class LiveStores:
    """The live generation of a dataset, open; shared by any number of threads."""

    def __init__(
        self,
        home: DatasetHome,
        *,
        config: FeatureStoreConfig,
        store_maker: StoreMaker = plain_store,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        """Open what is live; raises `PublishError` if nothing was ever published, or what is live is torn."""
        self._seconds = seconds
        self._tried_again_at = 0.0
        self._home = home
        self._config = config
        self._generations = GenerationStore(home)
        self._store_maker = store_maker
        self._lock = threading.Lock()
        self._mark: tuple[int, int, int] = self._generations.pointer_mark()
        self._current = self._open()

    def current(self) -> OpenGeneration:
        """What the pointer names now, or named last where that cannot be opened."""
        try:
            mark = self._generations.pointer_mark()
        except PublishError:
            # The pointer is gone; what it named last is not.
            return self._current
        if mark != self._mark and self._seconds() >= self._tried_again_at:
            with self._lock:
                if mark != self._mark:
                    self._follow(mark)
        return self._current

    def _follow(self, mark: tuple[int, int, int]) -> None:
        try:
            self._current = self._open()
            self._mark = mark
        except (PublishError, FeastError, sqlite3.Error, OSError) as error:
            self._tried_again_at = self._seconds() + RETRY_SECONDS
            log.error("the live generation cannot be opened, %s goes on answering: %s", self._current.generation.generation_id, error)

    def read(self, ask: Callable[[OpenGeneration], Answer]) -> Answer:
        """What `ask` answers of one generation, all of whose rows were there until the answer was complete."""
        while True:
            opened = self.current()
            answer = ask(opened)
            if self._generations.is_complete(opened.generation) or self.current() is opened:
                return answer

    def _open(self) -> OpenGeneration:
        while True:
            generation = self._generations.live()
            store = self._store_maker(reading_config(self._home, self._config, generation))
            try:
                _connect(store)
            except (FeastError, sqlite3.Error, OSError):
                if not self._is_gone(generation):
                    raise
            if not self._is_gone(generation):
                return OpenGeneration(generation, store)

    def _is_gone(self, generation: Generation) -> bool:
        """Whether it was removed since the pointer was read; the pointer names another one by then."""
        return not self._generations.is_complete(generation) and self._generations.live_id() != generation.generation_id


def _connect(store: FeatureStore) -> None:
    """Read the registry and one row: Feast does both when first asked, which may be after the files went."""
    service = next(iter(SERVICES))
    join_key = next(iter(JOIN_KEYS))
    store.get_online_features(store.get_feature_service(service, allow_cache=True), [{join_key: ""}])
