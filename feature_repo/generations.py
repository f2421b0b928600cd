"""Generations of the online store: immutable folders with an id, and one pointer to the live one.

A generation is complete when its `publication.json` is there, which is written last.
The pointer is `feature_store.yaml`, the file Feast itself reads, replaced atomically;
so a reader with our code and one without follow the same file. Why: docs/adr/0008-generations.md.
"""

import fcntl
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Literal

import yaml

from ml.config import DatasetHome
from ml.contracts.files import sync_directory, write_text
from ml.days import as_of
from ml.errors import PublishError

READER_CONFIG = "feature_store.yaml"
PUBLICATION = "publication.json"
NUM_OLD_GENERATIONS = 2
NUM_OLD_RELEASES = 2
_GENERATION_ID = re.compile(r"\d{6}-\d{8}-[0-9a-f]{8}")

StoreKind = Literal["sqlite", "redis"]


@dataclass(frozen=True)
class Generation:
    """One day's features in an online namespace of their own. `fingerprint` stands for all that decided its rows."""

    generation_id: str
    directory: Path
    day: date
    release_id: str
    online_store: StoreKind
    num_rows: Mapping[str, int]
    fingerprint: str

    @property
    def as_of(self) -> datetime:
        """The moment every row speaks of, UTC."""
        return as_of(self.day)

    @property
    def created_at(self) -> datetime:
        """When it was completed, UTC: the file's own time, since no clock time is in it."""
        return datetime.fromtimestamp((self.directory / PUBLICATION).stat().st_mtime, UTC)


class GenerationStore:
    """The generations of one dataset, below its `feature_store` folder."""

    def __init__(self, home: DatasetHome) -> None:
        self._dataset = home.dataset
        self._root = home.feature_store.resolve()
        self._folders = self._root / "generations"
        self._pointer = self._root / READER_CONFIG

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the dataset's publish lock; the system frees it when the process ends, however it ends."""
        self._root.mkdir(parents=True, exist_ok=True)
        with (self._root / "publish.lock").open("w") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise PublishError(
                    f"another publish or rollback of {self._dataset} is running; let it end or stop it, then try again"
                ) from error
            yield

    def pointer_mark(self) -> tuple[int, int, int]:
        """What changes whenever the pointer does, for the price of one `stat`; raises `PublishError` if nothing was ever published."""
        try:
            found = os.stat(self._pointer)  # noqa: PTH116  (asked for every look-up; a Path costs more than the call)
        except FileNotFoundError:
            raise self._nothing_online() from None
        return found.st_ino, found.st_mtime_ns, found.st_size

    def live_id(self) -> str | None:
        """The id the pointer names, whether that generation is whole or not; None before the first publish.

        Raises `PublishError` where the pointer is torn, which no publish of ours leaves behind.
        """
        if not self._pointer.exists():
            return None
        try:
            named = Path(yaml.safe_load(self._pointer.read_text(encoding="utf-8"))["registry"]["path"]).parent.name
        except (yaml.YAMLError, TypeError, KeyError, ValueError) as error:
            raise PublishError(f"{self._pointer} is torn; copy the {READER_CONFIG} of the generation to be live over it") from error
        return named if _GENERATION_ID.fullmatch(named) else None

    def live_day(self) -> date | None:
        """The day that is online, read from the pointer alone, so that a torn generation still keeps older days out."""
        live_id = self.live_id()
        return date.fromisoformat(live_id.split("-")[1]) if live_id else None

    def live(self) -> Generation:
        """The live generation; raises `PublishError` if nothing was ever published or its folder is torn."""
        live_id = self.live_id()
        if live_id is None:
            raise self._nothing_online()
        found = self._read(self._folders / live_id)
        if found is None:
            raise PublishError(f"generation {live_id} of {self._dataset} is live but its {PUBLICATION} is gone; publish its day again")
        return found

    def complete(self) -> list[Generation]:
        """Every complete generation, oldest first."""
        return [found for directory in self._directories() if (found := self._read(directory))]

    def is_complete(self, generation: Generation) -> bool:
        """Whether all its rows are still there: the mark goes before the first row does."""
        return os.path.exists(generation.directory / PUBLICATION)  # noqa: PTH110  (asked for every look-up)

    def begin(self, *, day: date, fingerprint: str) -> Path:
        """The folder of a new generation, on the disk before anything of it is anywhere else, so that a kill leaves a name to clean up."""
        directories = self._directories()
        sequence = 1 + (int(directories[-1].name.split("-")[0]) if directories else 0)
        directory = self._folders / f"{sequence:06d}-{day:%Y%m%d}-{fingerprint[:8]}"
        directory.mkdir(parents=True)
        sync_directory(self._folders)
        sync_directory(self._root)
        return directory

    def finish(
        self, directory: Path, *, day: date, release_id: str, online_store: StoreKind, num_rows: Mapping[str, int], fingerprint: str
    ) -> Generation:
        """Declare a folder's generation complete; everything it names must be durable by now."""
        content = {
            "day": day.isoformat(),
            "release_id": release_id,
            "online_store": online_store,
            "num_rows": dict(num_rows),
            "fingerprint": fingerprint,
        }
        write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", directory / PUBLICATION)
        return Generation(directory.name, directory, day, release_id, online_store, num_rows, fingerprint)

    def point_at(self, generation: Generation) -> None:
        """Make a complete generation live: the one flip."""
        write_text((generation.directory / READER_CONFIG).read_text(encoding="utf-8"), self._pointer)

    def newest_of(self, release_id: str) -> Generation:
        """The newest kept generation of a release; raises `PublishError` naming those that are kept."""
        kept = self.complete()
        found = [generation for generation in kept if generation.release_id == release_id]
        if not found:
            there_are = ", ".join(f"{generation.release_id} ({generation.day.isoformat()})" for generation in kept) or "none"
            raise PublishError(f"no generation of release {release_id} is kept online; there are: {there_are}. Publish one of its days")
        return found[-1]

    def unfinished(self) -> list[Path]:
        """Folders of generations that a kill left without their end, or half removed."""
        live_id = self.live_id()
        return [path for path in self._directories() if path.name != live_id and self._read(path) is None]

    def superseded(self) -> list[Generation]:
        """What may go: all but the live one, the newest two others, and the newest of each of two other releases, for rollbacks."""
        live = self.live()
        others = [found for found in reversed(self.complete()) if found.generation_id != live.generation_id]
        newest_of_release = {found.release_id: found for found in reversed(others) if found.release_id != live.release_id}
        by_age = sorted(newest_of_release.values(), key=lambda found: found.generation_id, reverse=True)
        kept = [*others[:NUM_OLD_GENERATIONS], *by_age[:NUM_OLD_RELEASES]]
        return [found for found in others if found not in kept]

    def _directories(self) -> list[Path]:
        return sorted(path for path in self._folders.glob("*") if _GENERATION_ID.fullmatch(path.name))

    def _read(self, directory: Path) -> Generation | None:
        try:
            content = json.loads((directory / PUBLICATION).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        day = date.fromisoformat(content.pop("day"))
        return Generation(directory.name, directory, day, **content)

    def _nothing_online(self) -> PublishError:
        return PublishError(f"nothing of dataset {self._dataset} is online in {self._root.parents[1]} yet; run `interest-graph run` first")


def forget(directory: Path) -> None:
    """Take a generation's mark of completeness away, durably: the first step of removing it."""
    (directory / PUBLICATION).unlink(missing_ok=True)
    sync_directory(directory)
