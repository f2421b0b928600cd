"""What a search over settings may try: a range per dotted setting name, held against the settings' own constraints.

Which settings can be searched is said in `ml.config.sections.search`;
trying them is `ml.training.search`.
"""

import difflib
import math
from collections.abc import Iterator, Mapping
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

Setting = bool | int | float | str


class Range(BaseModel):
    """From `low` through `high`, or one of some `choices`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    low: int | float | None = Field(None, description="least value")
    high: int | float | None = Field(None, description="largest value, included")
    log: bool = Field(False, description="values are drawn evenly by their logarithm")
    step: int | float | None = Field(None, gt=0, description="values lie this far apart, from low on")
    choices: tuple[Setting, ...] | None = Field(None, min_length=1, description="the only values, instead of low and high")

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        if self.choices is not None:
            if self.low is not None or self.high is not None or self.log or self.step is not None:
                raise ValueError("choices stand alone: leave out low, high, log and step, or leave out choices")
            return self
        if self.low is None or self.high is None:
            raise ValueError("give low and high, or choices")
        if not (math.isfinite(self.low) and math.isfinite(self.high)) or self.low > self.high:
            raise ValueError(f"low ({self.low}) must be a number not above high ({self.high})")
        if self.log and (self.low <= 0 or self.step is not None):
            raise ValueError("log needs low above 0, and no step")
        return self

    def __str__(self) -> str:
        given = self.model_dump(exclude_defaults=True)
        return ", ".join(f"{name} {_listed(value)}" for name, value in given.items())

    @property
    def ends(self) -> tuple[Setting, ...]:
        """The values whose neighbours are outside: both ends, or every choice."""
        return self.choices if self.choices is not None else tuple(end for end in (self.low, self.high) if end is not None)

    def holds(self, value: Setting) -> bool:
        """Whether a search could come to this value."""
        if self.choices is not None:
            return value in self.choices
        if self.low is None or self.high is None or isinstance(value, str) or not self.low <= value <= self.high:
            return False
        steps = (value - self.low) / self.step if self.step else 0.0
        return math.isclose(steps, round(steps), abs_tol=1e-9)


def space_problems(space: Mapping[str, Range], *, searchable: Mapping[str, BaseModel]) -> list[str]:
    """What is wrong with the names and ranges of a space; `searchable` holds each searchable name's section with its defaults."""
    return [problem for name, given in space.items() for problem in _problems(name, given, searchable=searchable)]


def _problems(name: str, given: Range, *, searchable: Mapping[str, BaseModel]) -> Iterator[str]:
    if name not in searchable:
        nearest = difflib.get_close_matches(name, list(searchable), n=1, cutoff=0.0)[0]
        yield f"{name} is no setting that a search can change; the nearest one is {nearest}"
        return
    section, field = searchable[name], name.partition(".")[2]
    if given.choices is None:
        wants_whole = isinstance(getattr(section, field), int)
        numbers = {"low": given.low, "high": given.high, "step": given.step}
        for place, number in numbers.items():
            if wants_whole and number is not None and number != int(number):
                yield f"{name} takes whole numbers, {place} is {number}"
    for value in given.ends:
        try:
            type(section).model_validate({field: value})
        except ValidationError as error:
            yield f"{name} cannot be {value}: {error.errors()[0]['msg']}"


def _listed(value: object) -> str:
    return " or ".join(map(str, value)) if isinstance(value, tuple) else str(value)
