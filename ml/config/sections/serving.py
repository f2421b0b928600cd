"""Settings of the HTTP services: `serving` in a profile."""

from pydantic import Field, PositiveFloat, PositiveInt

from ml.config.sections.section import Section


class ServingConfig(Section):
    """The HTTP services: where they listen and how much they take."""

    host: str = Field("127.0.0.1", description="address the service listens on; one that is not loopback needs API keys")
    port: int = Field(8000, ge=0, le=65535, description="port the service listens on; 0: a free one")
    requests_per_second: PositiveFloat = Field(200.0, description="requests a second that a key, or an address without one, may make")
    burst: PositiveInt = Field(400, description="requests that one of them may make at once after a rest")
    max_callers: PositiveInt = Field(10_000, description="keys, and addresses, whose requests are counted at the same time")
    max_in_flight: PositiveInt = Field(16, description="requests worked on at once; the next one is refused with 503")
    threads: PositiveInt = Field(2, description="requests computed at once, best the number of cores; the others in flight wait their turn")
    max_connections: PositiveInt = Field(512, description="open connections; the next one is refused with 503")
    max_body_bytes: PositiveInt = Field(262_144, description="bytes of a request's body; a larger one is refused with 413")
    body_timeout_seconds: PositiveFloat = Field(10.0, description="time a client has to send its body; after that 408")
    max_entities: PositiveInt = Field(1000, description="entities of one feature look-up")
    max_k: int = Field(100, ge=1, le=1000, description="items of one answer")
    impression_max_age_hours: PositiveFloat = Field(24.0, description="hours after which feedback on what was shown is refused")
    drain_seconds: PositiveInt = Field(10, description="time that requests under way have when the service is stopped")
