"""Rows older than their ttl, held back when they are read.

Feast 0.67 serves them as present; its protocol has a status for them, `OUTSIDE_MAX_AGE`,
which is what is answered here, with null for a value and the row's own time kept.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from feast import FeatureStore
from feast.online_response import OnlineResponse
from feast.protos.feast.serving.ServingService_pb2 import FieldStatus, GetOnlineFeaturesResponse
from feast.protos.feast.types.Value_pb2 import Value
from feast.repo_config import RepoConfig

Clock = Callable[[], datetime]


class TimelyFeatureStore(FeatureStore):  # type: ignore[misc]  # feast ships no types
    """Feast's store, whose online answers hold no value older than `ttl` by `clock`."""

    def __init__(self, *, config: RepoConfig, ttl: timedelta, clock: Clock) -> None:
        super().__init__(config=config)
        self._ttl = ttl
        self._clock = clock

    def get_online_features(self, *given: Any, **settings: Any) -> OnlineResponse:
        """As Feast's own, stale values held back."""
        return self._timely(super().get_online_features(*given, **settings))

    async def get_online_features_async(self, *given: Any, **settings: Any) -> OnlineResponse:
        """As Feast's own, stale values held back."""
        return self._timely(await super().get_online_features_async(*given, **settings))

    def _timely(self, response: OnlineResponse) -> OnlineResponse:
        hold_stale_back(response.proto, ttl=self._ttl, now=self._clock())
        return response


def hold_stale_back(response: GetOnlineFeaturesResponse, *, ttl: timedelta, now: datetime) -> None:
    """Take the values out of an answer that are older than `ttl` at `now`. Join keys have no age and stay."""
    oldest = (now - ttl).timestamp()
    for feature in response.results:
        for row, moment in enumerate(feature.event_timestamps):
            if feature.statuses[row] == FieldStatus.PRESENT and 0 < moment.seconds < oldest:
                feature.values[row].CopyFrom(Value())
                feature.statuses[row] = FieldStatus.OUTSIDE_MAX_AGE
