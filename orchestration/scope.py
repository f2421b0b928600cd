"""One dataset with its home, settings and calendar: what every asset is built from.

Born at the edge from the environment; below it only parts are handed on.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path

import dagster as dg

from ml.config import DatasetHome, PipelineConfig, load_profile
from ml.contracts.files import sha256_of
from ml.contracts.store import TableStore
from ml.finetuning.encoders import EncoderStore
from ml.ids import UserIdBorder
from ml.intake.dataset import Dataset, load_dataset
from ml.intake.feedback import with_feedback
from ml.text.model_folder import hash_folder
from ml.training.candidates import CandidateStore
from ml.training.releases import ReleaseStore
from ml.training.schedule import last_of_every
from orchestration.artefacts import Artefact, artefact
from orchestration.environment import Environment


@dataclass(frozen=True)
class Scope:
    """A dataset, where its artefacts lie, and how they are computed."""

    dataset: Dataset
    home: DatasetHome
    config: PipelineConfig

    @cached_property
    def store(self) -> TableStore:
        """The dataset's tables."""
        return TableStore(self.home.tables)

    @cached_property
    def releases(self) -> ReleaseStore:
        """The dataset's releases."""
        return ReleaseStore(self.home.releases)

    @cached_property
    def candidates(self) -> CandidateStore:
        """The dataset's trained candidates."""
        return CandidateStore(self.home.candidates, checkpoints=self.home.checkpoints)

    @cached_property
    def encoders(self) -> EncoderStore:
        """Which encoder reads each day's texts."""
        return EncoderStore(self.home.encoders, workshop=self.home.fine_tuning)

    @cached_property
    def model_content(self) -> str:
        """What stands for the bytes of a text model or projection that is named by its place: another one may come to the same place."""
        projection = Path(self.config.text.projection) if self.config.text.projection else None
        said = sha256_of(projection) if projection and projection.is_file() else ""
        folder = Path(self.config.text.model).expanduser()
        return said + (hash_folder(folder) if folder.is_dir() else "")

    @cached_property
    def border(self) -> UserIdBorder:
        """Where user ids cross."""
        return UserIdBorder(self.dataset.name)

    @cached_property
    def partitions(self) -> dg.DailyPartitionsDefinition:
        """One partition a UTC day from the dataset's start on; the first also holds all earlier history."""
        return dg.DailyPartitionsDefinition(start_date=self.dataset.start.isoformat(), timezone="UTC")

    def artefact(self, name: str) -> Artefact:
        """A table, the candidate or the encoder, by name."""
        return artefact(name, store=self.store, folders=(self.candidates, self.encoders), start=self.dataset.start)

    def last_full_fit(self, day: date) -> date | None:
        """The day whose full fit `day` starts from; None where it is one itself."""
        return last_of_every(self.config.model.full_fit_every_days, day=day, start=self.dataset.start)

    def last_fine_tuning(self, day: date) -> date | None:
        """The day whose choice of an encoder `day` takes; None where it makes its own. Always a full fit: models know one space."""
        every_days = self.config.model.full_fit_every_days * self.config.finetuning.every_full_fits
        return last_of_every(every_days, day=day, start=self.dataset.start)

    def full_fits_before(self, days: Iterable[date]) -> list[date]:
        """The full fits that some of `days` start from, oldest first."""
        return sorted({base for base in map(self.last_full_fit, days) if base is not None})

    def key(self, table: str) -> dg.AssetKey:
        """The asset key of a table: dataset name, table name, so that two datasets live side by side."""
        return dg.AssetKey([self.dataset.name, table])


def load_scope(environment: Environment) -> Scope:
    """Read the dataset file and the profile; raises `DatasetError` or `ConfigError` saying what to mend."""
    dataset = load_dataset(environment.dataset_file, variables=environment.variables)
    home = DatasetHome(environment.home, dataset.name)
    return Scope(with_feedback(dataset, home.feedback), home, load_profile(environment.profile))
