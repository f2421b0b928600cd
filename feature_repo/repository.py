"""The Feast repository of one generation, configured in code, and the one that is live.

A generation has a Feast project, a registry and online rows of its own, so two
generations, as two datasets, live side by side in one home and in one Redis.
"""

from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml
from feast import FeatureStore
from feast.repo_config import RepoConfig

from feature_repo.definitions import Definitions, definitions
from feature_repo.generations import READER_CONFIG, Generation, GenerationStore
from ml.config import DatasetHome
from ml.config.pipeline import FeatureStoreConfig
from ml.contracts.files import write_text
from ml.errors import ConfigError, PublishError


def project_name(dataset: str) -> str:
    """What the Feast projects of a dataset begin with: its name, hyphens as underscores, because SQLite projects become table names.

    Names that differ only there must not share a Redis database. Raises `ConfigError` for any other character.
    """
    project = dataset.replace("-", "_")
    if not project.isascii() or not project.replace("_", "a").isalnum() or project.startswith("_"):
        raise ConfigError(f"dataset name {dataset!r} cannot name a Feast project: use letters, digits, '-' and '_', not first '_'")
    return project


def generation_config(home: DatasetHome, config: FeatureStoreConfig, directory: Path) -> RepoConfig:
    """Feast's configuration of the generation in `directory`: our offline store, a registry that never changes once it is written."""
    return RepoConfig(**_settings(home, config, directory), offline_store={"type": "feature_repo.offline.PointInTimeOfflineStore"})


def reading_config(home: DatasetHome, config: FeatureStoreConfig, generation: Generation) -> RepoConfig:
    """A complete generation's configuration; SQLite whatever `features.online_store` says if it is in SQLite, since its rows lie beside it.

    Raises `PublishError` for one in Redis where the settings name none.
    """
    if generation.online_store == "redis" and config.online_store != "redis":
        raise PublishError(
            f"generation {generation.generation_id} of {home.dataset} is in Redis, but features.online_store is {config.online_store}; "
            "use the profile it was published with, or publish again"
        )
    used = config.model_copy(update={"online_store": generation.online_store})
    return generation_config(home, used, generation.directory)


def open_store(home: DatasetHome, config: FeatureStoreConfig) -> FeatureStore:
    """The live generation's feature store; it stays on that one. Raises `PublishError` if nothing was ever published."""
    return FeatureStore(config=reading_config(home, config, GenerationStore(home).live()))


def dataset_definitions(home: DatasetHome, config: FeatureStoreConfig) -> Definitions:
    """The definitions over this dataset's tables."""
    return definitions(home.tables.resolve(), ttl=timedelta(days=config.ttl_days))


def write_reader_config(home: DatasetHome, config: FeatureStoreConfig, directory: Path) -> Path:
    """Write the generation's `feature_store.yaml`, for the `feast` command and for readers that do not have our code.

    It names Feast's own stores only. Made live, its copy is the pointer.
    """
    content = _settings(home, config, directory) | {"offline_store": {"type": "file"}}
    return write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), directory / READER_CONFIG)


def written_config(directory: Path) -> RepoConfig | None:
    """What `write_reader_config` wrote for a folder; None where a kill came before."""
    path = directory / READER_CONFIG
    return RepoConfig(**yaml.safe_load(path.read_text(encoding="utf-8"))) if path.exists() else None


def _settings(home: DatasetHome, config: FeatureStoreConfig, directory: Path) -> dict[str, Any]:
    return {
        "project": f"{project_name(home.dataset)}__{directory.name.replace('-', '_')}",
        "provider": "local",
        # 0: a cached registry never expires, for a generation's does not change.
        "registry": {"path": str(directory / "registry.db"), "cache_ttl_seconds": 0},
        "online_store": _online_store(config, directory),
        "entity_key_serialization_version": 3,
    }


def _online_store(config: FeatureStoreConfig, directory: Path) -> dict[str, object]:
    if config.online_store == "redis":
        return {"type": "redis", "connection_string": config.redis_connection}
    return {"type": "sqlite", "path": str(directory / "online.db")}
