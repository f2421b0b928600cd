"""Settings of the online store: `features` in a profile."""

from typing import Literal

from pydantic import Field, PositiveInt

from ml.config.sections.section import Section


class FeatureStoreConfig(Section):
    """Feast's online store."""

    online_store: Literal["sqlite", "redis"] = Field("sqlite", description="where look-ups are served from")
    redis_connection: str = Field("127.0.0.1:6379", description="host:port of Redis, where that is the online store")
    ttl_days: PositiveInt = Field(7, description="days after which a feature row is stale")
    refuse_stale: bool = Field(False, description="whether look-ups answer null instead of a stale row; else they say that it is stale")
    profile_interests: PositiveInt = Field(10, description="named interests in a profile")
