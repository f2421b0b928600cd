"""What every section of a profile is: frozen, and without fields nobody knows."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A part of a profile; its fields have a constrained type and one line with their unit."""

    model_config = ConfigDict(extra="forbid", frozen=True)
