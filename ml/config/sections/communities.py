"""Settings of communities: `communities` in a profile."""

from pydantic import Field, PositiveFloat, PositiveInt

from ml.config.sections.section import Section


class CommunityConfig(Section):
    """Finding and naming communities."""

    resolution: PositiveFloat = Field(1.0, description="Leiden's resolution: larger gives more and smaller communities")
    seed: int = Field(7, description="seed of the order in which nodes are looked at")
    min_support: PositiveInt = Field(
        2, description="members that carry an interest before it may name their community, where any has so many"
    )
    num_interests: PositiveInt = Field(10, description="interests listed per community, most over-represented first")
