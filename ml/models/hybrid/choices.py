"""What a hybrid learned on the validation slice: how each model is read, what it counts, the ranker, the scale.

A later fit on more data takes it over unchanged. Learning it is `choosing`.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

from ml.models.hybrid.pool import Opinion
from ml.models.hybrid.ranker import Ranker
from ml.models.hybrid.readings import Reading


@dataclass(frozen=True)
class Stage:
    """What a stage came to on the validation slice: NDCG@10, its lead over the stage before, the lead's standard error."""

    name: str
    ndcg: float
    lead: float
    standard_error: float
    is_kept: bool


@dataclass(frozen=True)
class Choices:
    """`score = tanh((slope x log-lift + intercept) / 2)`; `stages` say how it was decided."""

    opinions: Mapping[str, Opinion]
    slope: float = 1.0
    intercept: float = 0.0
    ranker: Ranker | None = None
    stages: tuple[Stage, ...] = ()

    def measured_in(self, units: Mapping[str, float]) -> "Choices":
        """The same with every model's evidence measured in what a later fit found."""
        opinions = {name: replace(opinion, reading=replace(opinion.reading, unit=units[name])) for name, opinion in self.opinions.items()}
        return replace(self, opinions=opinions)

    def to_json(self) -> dict[str, Any]:
        """Plain values, for a file."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """What `to_json` gave."""
        ranker = values["ranker"]
        return cls(
            opinions={name: Opinion(Reading(**opinion["reading"]), opinion["weight"]) for name, opinion in values["opinions"].items()},
            slope=values["slope"],
            intercept=values["intercept"],
            ranker=Ranker(ranker["trees"], tuple(ranker["names"])) if ranker else None,
            stages=tuple(Stage(**stage) for stage in values["stages"]),
        )
