"""Artefacts that are folders, one a day, each with its manifest beside it: `<root>/<day>/` and `<day>.json`.

What lies in a folder is its writer's business; tables are `ml.contracts.store`.
"""

from collections.abc import Callable
from datetime import date
from pathlib import Path

from ml.contracts.contract import partition_name
from ml.contracts.files import sha256_of, whole_directory
from ml.contracts.manifest import Manifest, Recipe, is_whole, read_manifest
from ml.errors import MissingTableError


class DayFolders:
    """The folders of one kind of artefact, `name`, of one dataset."""

    def __init__(self, root: Path, *, name: str) -> None:
        self.root = root
        self.name = name

    def directory(self, day: date) -> Path:
        """The folder of one day."""
        return self.root / partition_name(day)

    def manifest(self, day: date) -> Manifest | None:
        """What a day's folder was made from; None where none was finished."""
        return read_manifest(self._manifest_path(day))

    def is_made_from(self, recipe: Recipe, *, day: date) -> bool:
        """Whether a folder of exactly this recipe is there already, by its manifest; its bytes are not read."""
        manifest = self.manifest(day)
        return manifest is not None and manifest.recipe == recipe and self.directory(day).exists()

    def is_whole(self, day: date) -> bool:
        """Whether a day's folder holds exactly the bytes its manifest names; reads all of it."""
        manifest = self.manifest(day)
        return manifest is not None and is_whole(self.directory(day), manifest)

    def fill(self, content: Callable[[Path], None], *, day: date, recipe: Recipe) -> Path:
        """Have `content` write a day's folder, whole or not at all, then its manifest; returns the folder."""
        with whole_directory(self.directory(day)) as folder:
            content(folder)
        directory = self.directory(day)
        num_bytes = sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())
        Manifest(self.name, day, 1, num_bytes, sha256_of(directory), latest=None, recipe=recipe).write(self._manifest_path(day))
        return directory

    def digest(self, day: date) -> str:
        """The sha256 of a day's folder; raises `MissingTableError` where none was finished."""
        manifest = self.manifest(day)
        if manifest is None:
            known = sorted(path.stem for path in self.root.glob("????-??-??.json"))
            raise MissingTableError(self.name, partition_name(day), known)
        return manifest.sha256

    def _manifest_path(self, day: date) -> Path:
        return self.root / f"{partition_name(day)}.json"
