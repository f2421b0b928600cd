"""What assets hand over, by name: contract tables, candidates and encoders, each with its digest, its reader and its writer.

Assets read and write here, not through Dagster's input loading: a run over several
days needs each day's inputs as of that day, and a day whose inputs did not change
is left as it is.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Protocol

import dagster as dg

from ml.contracts import CONTRACTS, TableContract
from ml.contracts.manifest import Recipe
from ml.contracts.store import TableStore
from orchestration.metadata import markdown_table

Metadata = Mapping[str, Any]


class Artefact(Protocol):
    """Something one asset writes for a day and others read."""

    def digest(self, day: date) -> str:
        """The sha256 of what `day` reads of it."""
        ...

    def read(self, day: date) -> Any:
        """What `day` may know of it."""
        ...

    def is_made_from(self, recipe: Recipe, *, day: date) -> bool:
        """Whether the day's own is there and of this recipe."""
        ...

    def is_whole(self, day: date) -> bool:
        """Whether the day's own is there with exactly the bytes it was finished with."""
        ...

    def write(self, value: Any, *, day: date, recipe: Recipe) -> None:
        """Write the day's own, whole or not at all."""
        ...

    def describe(self, day: date) -> Metadata:
        """What a person sees of the day's own."""
        ...


@dataclass(frozen=True)
class TableArtefact:
    """A contract table; `start` is the dataset's first day, from which a daily table's history must be whole."""

    contract: TableContract
    store: TableStore
    start: date

    def digest(self, day: date) -> str:
        """Of the day's snapshot, or of the history through it."""
        return self.store.digest(self.contract, day=day, since=self.start)

    def read(self, day: date) -> Any:
        """The day's snapshot, or the history through it."""
        return self.store.read_as_of(self.contract, day=day, since=self.start)

    def is_made_from(self, recipe: Recipe, *, day: date) -> bool:
        """Whether the partition is of this recipe."""
        return self.store.is_made_from(self.contract.name, recipe, day=day)

    def is_whole(self, day: date) -> bool:
        """Whether the partition's bytes are those of its manifest."""
        return self.store.is_whole(self.contract.name, day=day)

    def write(self, value: Any, *, day: date, recipe: Recipe) -> None:
        """Conform, check and write the partition."""
        self.store.write(self.contract, value, day=day, recipe=recipe)

    def describe(self, day: date) -> Metadata:
        """Rows, place, newest moment and the first rows."""
        manifest = self.store.manifest(self.contract.name, day=day)
        return {
            "dagster/partition_row_count": manifest.num_rows if manifest else 0,
            "path": dg.MetadataValue.path(str(self.store.path(self.contract.name, day))),
            "sha256": manifest.sha256 if manifest else "",
            "latest": manifest.latest.isoformat() if manifest and manifest.latest else "",
            "preview": dg.MetadataValue.md(markdown_table(self.store.head(self.contract, day=day, num_rows=5))),
        }


class FolderStore(Protocol):
    """A store of folders, one a day."""

    @property
    def name(self) -> str:
        """What the artefact is called."""
        ...

    def directory(self, day: date) -> Path:
        """The folder of one day."""
        ...

    def digest(self, day: date) -> str:
        """The sha256 of a day's folder."""
        ...

    def read(self, day: date) -> Any:
        """What a day's folder holds."""
        ...

    def is_made_from(self, recipe: Recipe, *, day: date) -> bool:
        """Whether a folder of this recipe is there."""
        ...

    def is_whole(self, day: date) -> bool:
        """Whether a day's bytes are those of its manifest."""
        ...

    def write(self, value: Any, *, day: date, recipe: Recipe) -> Path:
        """Write a day's folder."""
        ...


@dataclass(frozen=True)
class FolderArtefact:
    """The day's folder: a trained candidate, or the choice of an encoder."""

    store: FolderStore

    def digest(self, day: date) -> str:
        """Of all its files."""
        return self.store.digest(day)

    def read(self, day: date) -> Any:
        """What it holds."""
        return self.store.read(day)

    def is_made_from(self, recipe: Recipe, *, day: date) -> bool:
        """Whether it is of this recipe."""
        return self.store.is_made_from(recipe, day=day)

    def is_whole(self, day: date) -> bool:
        """Whether its bytes are those of its manifest."""
        return self.store.is_whole(day)

    def write(self, value: Any, *, day: date, recipe: Recipe) -> None:
        """Write its folder."""
        self.store.write(value, day=day, recipe=recipe)

    def describe(self, day: date) -> Metadata:
        """Where it lies and its digest."""
        return {"path": dg.MetadataValue.path(str(self.store.directory(day))), "sha256": self.store.digest(day)}


def artefact(name: str, *, store: TableStore, folders: Iterable[FolderStore], start: date) -> Artefact:
    """The artefact of a name: one kept in folders, or else a contract table."""
    for found in folders:
        if found.name == name:
            return FolderArtefact(found)
    return TableArtefact(CONTRACTS[name], store, start)
