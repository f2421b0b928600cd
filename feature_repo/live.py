"""Open stores that follow the pointer: each look-up is answered by one generation as a whole.

The pointer costs one `stat` a look-up; a generation is opened once. A reader of a
generation that a publish removes meanwhile asks the next one again.
"""

import sqlite3
import threading
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

    def __init__(self, home: DatasetHome, *, config: FeatureStoreConfig, store_maker: StoreMaker = plain_store) -> None:
        """Open what is live; raises `PublishError` if nothing was ever published."""
        self._home = home
        self._config = config
        self._generations = GenerationStore(home)
        self._store_maker = store_maker
        self._lock = threading.Lock()
        self._mark: tuple[int, int, int] = self._generations.pointer_mark()
        self._current = self._open()

    def current(self) -> OpenGeneration:
        """What the pointer names now."""
        mark = self._generations.pointer_mark()
        if mark != self._mark:
            with self._lock:
                if mark != self._mark:
                    self._current = self._open()
                    self._mark = mark
        return self._current

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
