"""Settings of reading landing files: `intake` in a profile."""

from pydantic import Field, PositiveInt

from ml.config.sections.section import Section


class IntakeConfig(Section):
    """Reading landing files."""

    max_quarantined_share: float = Field(0.05, ge=0, le=1, description="share of rows kept out above which the check blocks")
    memory_limit: str = Field("2GB", description="DuckDB memory limit while reading and transforming")
    threads: PositiveInt = Field(2, description="DuckDB threads")
    temp_directory: str | None = Field(None, description="folder for what does not fit in memory; default: the system's")
