"""Looking one user or item up online, with the age of what is found.

Feast does not enforce the ttl when it reads online, so staleness is computed here
and said aloud. Ids are the inside ids; `ml.ids.UserIdBorder` is the caller's to cross.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, get_args

from ml.config import DatasetHome
from ml.config.pipeline import FeatureStoreConfig
from ml.errors import PublishError

Service = Literal["user_profile", "item_profile", "recommendations"]


@dataclass(frozen=True)
class Found:
    """What a service knows of one id; without `is_found` every feature is None."""

    service: Service
    entity_id: str
    is_found: bool
    as_of: datetime | None
    age_days: float | None
    is_stale: bool
    features: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Plain values that JSON holds."""
        moment = self.as_of.isoformat() if self.as_of else None
        facts = {"service": self.service, "id": self.entity_id, "is_found": self.is_found, "as_of": moment}
        return {**facts, "age_days": self.age_days, "is_stale": self.is_stale, "features": self.features}


class FeatureLookup:
    """An open feature store; make it once and ask it often."""

    def __init__(self, home: DatasetHome, *, config: FeatureStoreConfig) -> None:
        """Open the dataset's store; raises `PublishError` if nothing was ever published."""
        from feature_repo.repository import open_store, registry_path  # noqa: PLC0415  (Feast imports slowly)

        if not registry_path(home).exists():
            raise PublishError(f"nothing of dataset {home.dataset} is online in {home.root} yet; run `interest-graph run` first")
        self._store = open_store(home, config)
        self._ttl = timedelta(days=config.ttl_days)

    def get(self, service: Service, entity_id: str, *, now: datetime) -> Found:
        """Everything `service` knows of a user or item at `now` (for its age); an unknown id is found not, and no error."""
        return self.get_many(service, [entity_id], now=now)[0]

    def get_many(self, service: Service, entity_ids: list[str], *, now: datetime) -> list[Found]:
        """The same for several ids in one read, in their order."""
        if service not in get_args(Service):
            raise ValueError(f"no feature service {service!r}; there are {', '.join(get_args(Service))}")
        join_key = "item_id" if service == "item_profile" else "user_id"
        response = self._store.get_online_features(
            features=self._store.get_feature_service(service, allow_cache=True),
            entity_rows=[{join_key: entity_id} for entity_id in entity_ids],
        )
        columns = response.to_dict(include_event_timestamps=True)
        features = [name for name in columns if name != join_key and not name.endswith("__ts")]
        return [
            self._found(
                service,
                entity_id,
                features={name: columns[name][row] for name in features},
                seconds=columns["release_id__ts"][row],
                now=now,
            )
            for row, entity_id in enumerate(entity_ids)
        ]

    def _found(self, service: Service, entity_id: str, *, features: dict[str, Any], seconds: int, now: datetime) -> Found:
        if features["release_id"] is None:
            return Found(service, entity_id, False, None, None, False, features)
        as_of = datetime.fromtimestamp(seconds, UTC)
        age = now - as_of
        return Found(service, entity_id, True, as_of, age / timedelta(days=1), age > self._ttl, features)


def lookup(home: DatasetHome, *, config: FeatureStoreConfig, service: Service, entity_id: str, now: datetime) -> dict[str, Any]:
    """One look-up as a dictionary; `FeatureLookup` is for many."""
    return FeatureLookup(home, config=config).get(service, entity_id, now=now).to_dict()
