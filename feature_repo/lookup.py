"""Looking one user or item up online, with the generation that answered and the age of what is found.

Feast does not enforce the ttl when it reads online, so staleness is computed here
and said aloud. Ids are the inside ids; `ml.ids.UserIdBorder` is the caller's to cross.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, get_args

from ml.config import DatasetHome
from ml.config.pipeline import FeatureStoreConfig

if TYPE_CHECKING:
    from feature_repo.live import OpenGeneration

Service = Literal["user_profile", "item_profile", "recommendations"]


@dataclass(frozen=True)
class Found:
    """What a service knows of one id; without `is_found` every feature is None.

    With `features.refuse_stale`, a stale row is not found: `as_of`, `age_days` and `is_stale` say what was held back.
    """

    service: Service
    entity_id: str
    is_found: bool
    as_of: datetime | None
    age_days: float | None
    is_stale: bool
    generation_id: str
    features: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Plain values that JSON holds."""
        moment = self.as_of.isoformat() if self.as_of else None
        facts = {"service": self.service, "id": self.entity_id, "is_found": self.is_found, "as_of": moment}
        age = {"age_days": self.age_days, "is_stale": self.is_stale, "generation": self.generation_id}
        return {**facts, **age, "features": self.features}


class FeatureLookup:
    """Look-ups that follow every publish and rollback; make it once and ask it often, from any thread."""

    def __init__(self, home: DatasetHome, *, config: FeatureStoreConfig) -> None:
        """Open the dataset's store; raises `PublishError` if nothing was ever published."""
        from feature_repo.live import LiveStores  # noqa: PLC0415  (Feast imports slowly)

        self._stores = LiveStores(home, config=config)
        self._ttl = timedelta(days=config.ttl_days)
        self._refuses_stale = config.refuse_stale

    def get(self, service: Service, entity_id: str, *, now: datetime) -> Found:
        """Everything `service` knows of a user or item at `now` (for its age); an unknown id is found not, and no error."""
        return self.get_many(service, [entity_id], now=now)[0]

    def get_many(self, service: Service, entity_ids: list[str], *, now: datetime) -> list[Found]:
        """The same for several ids, in their order, all from one generation."""
        if service not in get_args(Service):
            raise ValueError(f"no feature service {service!r}; there are {', '.join(get_args(Service))}")
        return self._stores.read(lambda opened: self._ask(opened, service, entity_ids, now=now))

    def _ask(self, opened: "OpenGeneration", service: Service, entity_ids: list[str], *, now: datetime) -> list[Found]:
        from feature_repo.stale import hold_stale_back  # noqa: PLC0415  (Feast imports slowly)

        join_key = "item_id" if service == "item_profile" else "user_id"
        response = opened.store.get_online_features(
            features=opened.store.get_feature_service(service, allow_cache=True),
            entity_rows=[{join_key: entity_id} for entity_id in entity_ids],
        )
        if self._refuses_stale:
            hold_stale_back(response.proto, ttl=self._ttl, now=now)
        columns = response.to_dict(include_event_timestamps=True)
        features = [name for name in columns if name != join_key and not name.endswith("__ts")]
        return [
            self._found(
                service,
                entity_id,
                features={name: columns[name][row] for name in features},
                seconds=columns["release_id__ts"][row],
                generation_id=opened.generation.generation_id,
                now=now,
            )
            for row, entity_id in enumerate(entity_ids)
        ]

    def _found(
        self, service: Service, entity_id: str, *, features: dict[str, Any], seconds: int, generation_id: str, now: datetime
    ) -> Found:
        if not seconds:
            return Found(service, entity_id, False, None, None, False, generation_id, features)
        as_of = datetime.fromtimestamp(seconds, UTC)
        age = now - as_of
        is_found = features["release_id"] is not None
        return Found(service, entity_id, is_found, as_of, age / timedelta(days=1), age > self._ttl, generation_id, features)


def lookup(home: DatasetHome, *, config: FeatureStoreConfig, service: Service, entity_id: str, now: datetime) -> dict[str, Any]:
    """One look-up as a dictionary; `FeatureLookup` is for many."""
    return FeatureLookup(home, config=config).get(service, entity_id, now=now).to_dict()
