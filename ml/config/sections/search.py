"""Settings of `interest-graph tune`, and which settings it may change: `search` in a profile."""

from collections.abc import Mapping

from pydantic import BaseModel, Field, PositiveFloat, PositiveInt, field_validator

from ml.config.ranges import Range, space_problems
from ml.config.sections.graph import GraphConfig
from ml.config.sections.interests import InterestConfig
from ml.config.sections.model import ModelConfig
from ml.config.sections.reviews import ReviewConfig
from ml.config.sections.section import Section

_NOT_SEARCHED = {"warm_epochs", "full_fit_every_days", "seed", "device", "excluded_relations"}
# What decides how good a model fitted on a day's finished tables is; what decides the tables would need them made again.
SEARCHABLE: dict[str, BaseModel] = {
    f"{section}.{field}": defaults
    for section, defaults, fields in (
        (
            "model",
            ModelConfig(),
            set(ModelConfig.model_fields) - _NOT_SEARCHED,
        ),
        ("graph", GraphConfig(), set(GraphConfig.model_fields)),
        ("interests", InterestConfig(), {"half_life_days", "text_weight", "review_text_share", "max_per_user"}),
        ("reviews", ReviewConfig(), {"num_neighbors", "max_anchors", "burst_hours", "min_credibility"}),
    )
    for field in sorted(fields)
}


class SearchConfig(Section):
    """Looking for better settings with `interest-graph tune`; makes no day anew."""

    num_trials: PositiveInt = Field(30, description="settings tried, the profile's own first")
    timeout_minutes: PositiveFloat | None = Field(None, description="minutes after which no more are tried; default: no limit")
    num_random_trials: PositiveInt = Field(8, description="settings drawn at random before the search learns from those it tried")
    num_whole_trials: PositiveInt = Field(4, description="fits run to their end before one that falls behind their median is cut short")
    seed: int = Field(7, description="seed of what is tried")
    space: Mapping[str, Range] = Field(
        {
            "model.temperature": Range(low=0.05, high=0.3, log=True),
            "model.learning_rate": Range(low=0.002, high=0.05, log=True),
            "model.embedding_size": Range(choices=(16, 32, 64, 128)),
            "model.num_layers": Range(low=1, high=3),
            "model.hidden_item_share": Range(low=0.0, high=0.5),
            "model.like_weight_power": Range(low=0.0, high=1.0),
            "graph.half_life_days": Range(low=14.0, high=720.0, log=True),
        },
        min_length=1,
        description="what is searched: names of settings in `model`, `graph`, and those of `interests` and `reviews` that weigh behaviour; "
        "each with {low, high}, if wished log or step, or {choices}",
    )

    @field_validator("space")
    @classmethod
    def _space_holds(cls, space: Mapping[str, Range]) -> Mapping[str, Range]:
        problems = space_problems(space, searchable=SEARCHABLE)
        if problems:
            raise ValueError("; ".join(problems))
        return space
