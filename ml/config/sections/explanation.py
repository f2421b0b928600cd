"""Settings of reasons: `explanation` in a profile."""

from pydantic import Field, PositiveFloat, PositiveInt

from ml.config.sections.section import Section


class ExplanationConfig(Section):
    """Reasons of one answer with their share in the score, worked out while it is asked for."""

    max_reasons: PositiveInt = Field(3, description="reasons told of an item at most, those of the largest share")
    max_likes: PositiveInt = Field(50, description="likes whose share is worked out, those nearest to the items shown")
    max_interests: int = Field(20, ge=0, description="interests whose share is worked out, those that most items shown are about")
    min_share: PositiveFloat = Field(1e-4, description="points of score a path must be worth to be told")
    written_by_model: bool = Field(
        False, description="sentences by the language model of `extractor`, from the path alone; one that names anything else is not used"
    )
