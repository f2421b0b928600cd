"""How large a sample is, and which: everything a caller may choose.

What the simulation does with it is documented in `docs/sample.md`; constants of
behaviour stay beside the code they steer.
"""

from datetime import date, timedelta
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class SampleSettings(BaseModel):
    """The sample's size, calendar and seed. Equal settings give equal bytes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    seed: int = Field(7, ge=0, description="seed of everything random")
    num_users: int = Field(1500, ge=20, description="accounts, spam accounts included")
    num_items: int = Field(1200, ge=40, description="catalogue items, those of later days included")
    num_days: int = Field(60, ge=8, description="simulated days")
    last_day: date = Field(date(2026, 6, 30), description="last simulated day, UTC")
    shift_days: int = Field(7, ge=1, description="days at the end in which tastes have shifted")
    shifted_share: float = Field(0.4, ge=0, le=1, description="share of users whose taste shifts")

    @model_validator(mode="after")
    def _shift_is_inside(self) -> Self:
        if self.shift_days >= self.num_days:
            raise ValueError(f"shift_days ({self.shift_days}) must be below num_days ({self.num_days})")
        return self

    @property
    def first_day(self) -> date:
        """First simulated day."""
        return self.last_day - timedelta(days=self.num_days - 1)

    @property
    def shift_day(self) -> int:
        """Position of the first day with shifted tastes; day 0 is `first_day`."""
        return self.num_days - self.shift_days
