"""Candidates as folders, one a day, each with its manifest beside it: `<candidates>/<day>/` and `<day>.json`."""

import shutil
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from ml.contracts.contract import partition_name
from ml.contracts.files import sha256_of, whole_directory
from ml.contracts.manifest import Manifest, Recipe, is_whole, read_manifest
from ml.errors import MissingTableError

if TYPE_CHECKING:
    from ml.training.candidate import TrainingOutcome

NAME = "candidate"


class CandidateStore:
    """What training came to on each day of one dataset."""

    def __init__(self, root: Path, *, checkpoints: Path) -> None:
        self.root = root
        self._checkpoints = checkpoints

    def checkpoints(self, day: date) -> Path:
        """Where the training of a day keeps its checkpoints until the candidate is written."""
        return self._checkpoints / partition_name(day)

    def directory(self, day: date) -> Path:
        """The folder of one day's candidate."""
        return self.root / partition_name(day)

    def manifest(self, day: date) -> Manifest | None:
        """What a candidate was made from; None where none was finished."""
        return read_manifest(self._manifest_path(day))

    def is_made_from(self, recipe: Recipe, *, day: date) -> bool:
        """Whether a candidate of exactly this recipe is there already, by its manifest; its bytes are not read."""
        manifest = self.manifest(day)
        return manifest is not None and manifest.recipe == recipe and self.directory(day).exists()

    def is_whole(self, day: date) -> bool:
        """Whether a candidate holds exactly the bytes its manifest names; reads all of it."""
        manifest = self.manifest(day)
        return manifest is not None and is_whole(self.directory(day), manifest)

    def write(self, outcome: "TrainingOutcome", *, day: date, recipe: Recipe) -> Path:
        """Write a candidate, whole or not at all, then its manifest; returns the folder."""
        from ml.training.candidate import save_candidate  # noqa: PLC0415  (torch imports slowly: look-ups need none of it)

        with whole_directory(self.directory(day)) as folder:
            save_candidate(outcome, folder)
        directory = self.directory(day)
        num_bytes = sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())
        Manifest(NAME, day, 1, num_bytes, sha256_of(directory), latest=None, recipe=recipe).write(self._manifest_path(day))
        # Finished fits stay until here: a kill in the last of them must not cost the first ones.
        shutil.rmtree(self.checkpoints(day), ignore_errors=True)
        return directory

    def read(self, day: date) -> "TrainingOutcome":
        """A day's candidate; raises `MissingTableError` where none was finished."""
        from ml.training.candidate import load_candidate  # noqa: PLC0415  (torch imports slowly: look-ups need none of it)

        self.digest(day)
        return load_candidate(self.directory(day))

    def digest(self, day: date) -> str:
        """The sha256 of a day's candidate; raises `MissingTableError` where none was finished."""
        manifest = self.manifest(day)
        if manifest is None:
            known = sorted(path.stem for path in self.root.glob("????-??-??.json"))
            raise MissingTableError(NAME, partition_name(day), known)
        return manifest.sha256

    def _manifest_path(self, day: date) -> Path:
        return self.root / f"{partition_name(day)}.json"
