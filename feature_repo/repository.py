"""One dataset's Feast repository, configured in code from its home folder.

Project, registry and embedded online store belong to the dataset alone, so two
datasets live side by side in one home and in one Redis.
"""

from datetime import timedelta
from pathlib import Path

import yaml
from feast import FeatureStore
from feast.repo_config import RegistryConfig, RepoConfig

from feature_repo.definitions import Definitions, definitions
from ml.config import DatasetHome
from ml.config.pipeline import FeatureStoreConfig
from ml.contracts.files import write_text
from ml.errors import ConfigError

REGISTRY_REFRESH_SECONDS = 30


def project_name(dataset: str) -> str:
    """The Feast project of a dataset: its name, hyphens as underscores, because SQLite projects become table names.

    Names that differ only there must not share a Redis database. Raises `ConfigError` for any other character.
    """
    project = dataset.replace("-", "_")
    if not project.isascii() or not project.replace("_", "a").isalnum() or project.startswith("_"):
        raise ConfigError(f"dataset name {dataset!r} cannot name a Feast project: use letters, digits, '-' and '_', not first '_'")
    return project


def registry_path(home: DatasetHome) -> Path:
    """Feast's registry file."""
    return (home.feature_store / "registry.db").resolve()


def sqlite_path(home: DatasetHome) -> Path:
    """The embedded online store."""
    return (home.feature_store / "online.db").resolve()


def repo_config(home: DatasetHome, config: FeatureStoreConfig) -> RepoConfig:
    """Feast's configuration for this dataset and online store."""
    return RepoConfig(
        project=project_name(home.dataset),
        provider="local",
        registry=RegistryConfig(
            path=str(registry_path(home)),
            registry_store_type="feature_repo.registry.AtomicFileRegistryStore",
            cache_ttl_seconds=REGISTRY_REFRESH_SECONDS,
        ),
        online_store=_online_store(home, config),
        offline_store={"type": "feature_repo.offline.PointInTimeOfflineStore"},
        entity_key_serialization_version=3,
    )


def open_store(home: DatasetHome, config: FeatureStoreConfig) -> FeatureStore:
    """The dataset's feature store; creates an empty registry where there is none yet."""
    home.feature_store.mkdir(parents=True, exist_ok=True)
    return FeatureStore(config=repo_config(home, config))


def dataset_definitions(home: DatasetHome, config: FeatureStoreConfig) -> Definitions:
    """The definitions over this dataset's tables."""
    return definitions(home.tables.resolve(), ttl=timedelta(days=config.ttl_days))


def write_reader_config(home: DatasetHome, config: FeatureStoreConfig) -> Path:
    """Write `feature_store.yaml` beside the registry, for the `feast` command and for readers that do not have our code.

    It names Feast's own stores only; `feast.FeatureStore(repo_path=<that folder>)` then looks features up.
    """
    content = {
        "project": project_name(home.dataset),
        "provider": "local",
        "registry": {"path": str(registry_path(home)), "cache_ttl_seconds": REGISTRY_REFRESH_SECONDS},
        "online_store": _online_store(home, config),
        "offline_store": {"type": "file"},
        "entity_key_serialization_version": 3,
    }
    return write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), home.feature_store / "feature_store.yaml")


def _online_store(home: DatasetHome, config: FeatureStoreConfig) -> dict[str, object]:
    if config.online_store == "redis":
        return {"type": "redis", "connection_string": config.redis_connection}
    return {"type": "sqlite", "path": str(sqlite_path(home))}
