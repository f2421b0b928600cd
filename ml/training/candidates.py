"""Candidates as folders, one a day, and the checkpoints that training leaves until one is written."""

import shutil
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from ml.contracts.contract import partition_name
from ml.contracts.day_folders import DayFolders
from ml.contracts.manifest import Recipe

if TYPE_CHECKING:
    from ml.training.candidate import TrainingOutcome

NAME = "candidate"


class CandidateStore(DayFolders):
    """What training came to on each day of one dataset."""

    def __init__(self, root: Path, *, checkpoints: Path) -> None:
        super().__init__(root, name=NAME)
        self._checkpoints = checkpoints

    def checkpoints(self, day: date) -> Path:
        """Where the training of a day keeps its checkpoints until the candidate is written."""
        return self._checkpoints / partition_name(day)

    def write(self, outcome: "TrainingOutcome", *, day: date, recipe: Recipe) -> Path:
        """Write a candidate, whole or not at all, then its manifest; returns the folder."""
        from ml.training.candidate import save_candidate  # noqa: PLC0415  (torch imports slowly: look-ups need none of it)

        directory = self.fill(lambda folder: save_candidate(outcome, folder), day=day, recipe=recipe)
        # Finished fits stay until here: a kill in the last of them must not cost the first ones.
        shutil.rmtree(self.checkpoints(day), ignore_errors=True)
        return directory

    def read(self, day: date) -> "TrainingOutcome":
        """A day's candidate; raises `MissingTableError` where none was finished."""
        from ml.training.candidate import load_candidate  # noqa: PLC0415  (torch imports slowly: look-ups need none of it)

        self.digest(day)
        return load_candidate(self.directory(day))
