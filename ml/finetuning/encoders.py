"""Each day's choice of an encoder as a folder, and on the day of a fine-tuning that gained, the model below it."""

import shutil
from datetime import date
from pathlib import Path

from ml.config.pipeline import TextConfig
from ml.contracts.contract import partition_name
from ml.contracts.day_folders import DayFolders
from ml.contracts.manifest import Recipe
from ml.finetuning.choice import EncoderChoice, read_choice

NAME = "encoder"


class EncoderStore(DayFolders):
    """Which encoder reads the texts of each day of one dataset."""

    def __init__(self, root: Path, *, workshop: Path) -> None:
        super().__init__(root, name=NAME)
        self._workshop = workshop

    def workshop(self, day: date) -> Path:
        """Where the fine-tuning of a day keeps checkpoints and its model until the choice is written."""
        return self._workshop / partition_name(day)

    def write(self, choice: EncoderChoice, *, day: date, recipe: Recipe) -> Path:
        """Write a choice, with the model from the day's workshop where the day made the one it chose; returns the folder."""

        def content(folder: Path) -> None:
            choice.write(folder)
            if choice.fine_tuned_on == day:
                shutil.copytree(model_folder(self.workshop(day)), model_folder(folder))

        directory = self.fill(content, day=day, recipe=recipe)
        # Also what a kill left of days that were finished before.
        for made in (self.workshop(day), *self._workshop.glob("????-??-??")):
            if self.manifest(date.fromisoformat(made.name)) is not None:
                shutil.rmtree(made, ignore_errors=True)
        return directory

    def read(self, day: date) -> EncoderChoice:
        """A day's choice; raises `MissingTableError` where none was made."""
        self.digest(day)
        return read_choice(self.directory(day))

    def text_config(self, choice: EncoderChoice, *, profile: TextConfig) -> TextConfig:
        """The profile's settings with the chosen model in the place of its own."""
        if choice.fine_tuned_on is None:
            return profile
        return profile.model_copy(update={"model": str(model_folder(self.directory(choice.fine_tuned_on))), "revision": ""})


def model_folder(folder: Path) -> Path:
    """Where a fine-tuned model lies in a day's folder or workshop; its name is part of the embedding space."""
    return folder / "fine-tuned"
