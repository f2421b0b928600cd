"""Settings of sentiment and credibility: `reviews` in a profile."""

from pydantic import Field, PositiveFloat, PositiveInt

from ml.config.sections.section import Section


class ReviewConfig(Section):
    """Judging reviews and reviewers."""

    min_rated_reviews: int = Field(20, ge=3, description="rated reviews of each sign from which sentiment is learned; fewer: none is given")
    max_rated_reviews: PositiveInt = Field(50_000, description="rated reviews that are learned from, the newest")
    min_texts_per_gram: PositiveInt = Field(2, description="texts that a word, pair of words or run of characters needs to be weighed")
    sentiment_inverse_regularization: PositiveFloat = Field(4.0, description="inverse strength of the sentiment model's L2 penalty")
    sentiment_accuracy: float = Field(
        0.9, gt=0.5, le=1, description="share of sentiments given that should be right; less sure ones are withheld"
    )
    max_abstained_share: float = Field(0.3, ge=0, lt=1, description="share of sentiments withheld at most, on held-out reviews")
    num_reasons: PositiveInt = Field(4, description="words named per sentiment")
    num_neighbors: PositiveInt = Field(20, description="nearest users whose choice of items a user's is held against")
    max_anchors: PositiveInt = Field(2000, description="users among whom the nearest are looked for")
    burst_hours: PositiveFloat = Field(1.0, description="hours before and after within which equal opinions on an item are a burst")
    twin_likeness: float = Field(0.8, gt=0, le=1, description="share of runs of three characters from which two texts are twins")
    min_credibility: float = Field(0.001, gt=0, le=1, description="least that an edge is multiplied by: nothing is deleted")
