"""One dataset with its home, settings and calendar: what every asset is built from.

Born at the edge from the environment; below it only parts are handed on.
"""

from dataclasses import dataclass
from functools import cached_property

import dagster as dg

from ml.config import DatasetHome, PipelineConfig, load_profile
from ml.contracts.store import TableStore
from ml.ids import UserIdBorder
from ml.intake.dataset import Dataset, load_dataset
from ml.training.releases import ReleaseStore
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
    def border(self) -> UserIdBorder:
        """Where user ids cross."""
        return UserIdBorder(self.dataset.name)

    @cached_property
    def partitions(self) -> dg.DailyPartitionsDefinition:
        """One partition a UTC day from the dataset's start on; the first also holds all earlier history."""
        return dg.DailyPartitionsDefinition(start_date=self.dataset.start.isoformat(), timezone="UTC")

    def key(self, table: str) -> dg.AssetKey:
        """The asset key of a table: dataset name, table name, so that two datasets live side by side."""
        return dg.AssetKey([self.dataset.name, table])


def load_scope(environment: Environment) -> Scope:
    """Read the dataset file and the profile; raises `DatasetError` or `ConfigError` saying what to mend."""
    dataset = load_dataset(environment.dataset_file, variables=environment.variables)
    return Scope(dataset, DatasetHome(environment.home, dataset.name), load_profile(environment.profile))
