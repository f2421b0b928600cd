"""Settings of recommendations and similar rows: `ranking` in a profile."""

from pydantic import Field, PositiveInt

from ml.config.sections.section import Section


class RankingConfig(Section):
    """Scoring and explaining."""

    top_k: PositiveInt = Field(20, description="recommendations per user")
    num_similar: PositiveInt = Field(10, description="similar items per item, similar users per user")
    block_size: PositiveInt = Field(1024, description="users scored at once")
    shard_size: PositiveInt = Field(20_000, description="users ranked and explained between two writes: what a kill costs at most")
