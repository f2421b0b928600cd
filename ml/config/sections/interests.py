"""Settings of interest points and of profiles' weights: `interests` in a profile."""

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from ml.config.sections.section import Section


class InterestConfig(Section):
    """Finding interest points and weighing them."""

    min_items: PositiveInt = Field(2, description="items an interest point needs")
    max_item_share: float = Field(0.5, gt=0, le=1, description="share of the catalogue above which a point says nothing")
    max_keyphrases_per_item: PositiveInt = Field(6, description="keyphrases kept per item")
    keyphrase_diversity: float = Field(0.0, ge=0, lt=1, description="how far the next keyphrase of an item must be unlike those it has")
    max_keyphrases: PositiveInt = Field(2000, description="keyphrase points kept in all")
    tag_weight: NonNegativeFloat = Field(1.0, description="strength of a given tag, relative")
    category_weight: NonNegativeFloat = Field(0.8, description="strength of a category level, relative")
    keyphrase_weight: NonNegativeFloat = Field(0.35, description="strength of a keyphrase, relative")
    theme_weight: NonNegativeFloat = Field(0.3, description="strength of a theme (semantic token), relative; 0: none are made")
    theme_levels: int = Field(2, ge=1, le=3, description="levels of themes, each within one of the level above")
    items_per_theme: int = Field(20, ge=2, description="items of a theme of the last level, on average; decides how many themes there are")
    max_codes: int = Field(64, ge=2, description="themes within one theme, or on the first level, at most")
    min_theme_catalogue: PositiveInt = Field(200, description="items with text a catalogue needs before it has themes")
    theme_growth: float = Field(1.5, gt=1, description="times more items at which themes are fitted again, from where they were")
    max_fitted_items: PositiveInt = Field(50_000, description="items themes are fitted on at most; the others are assigned")
    synonym_overlap: float = Field(0.9, gt=0, le=1, description="share of the items of two names that carry both from which they are one")
    synonym_similarity: float = Field(0.85, gt=0, le=1, description="cosine of two names' vectors from which they are one")
    synonym_item_similarity: float = Field(0.5, ge=-1, le=1, description="cosine that their items' mean vectors then need too")
    half_life_days: PositiveFloat = Field(30.0, description="days after which an interaction or own text counts half in a profile")
    recent_half_life_days: PositiveFloat = Field(7.0, description="the same in a profile's recent weights")
    text_weight: NonNegativeFloat = Field(1.0, description="what a search counts, in weights of an interaction; 0: own texts say nothing")
    review_text_share: float = Field(0.25, ge=0, le=1, description="share of that a review's words count: its stars weigh the item anyway")
    max_interests_per_text: PositiveInt = Field(8, description="interests found in one own text")
    max_per_user: PositiveInt = Field(60, description="interests kept per user, by the larger of both magnitudes")
    max_evidence_items: PositiveInt = Field(5, description="items named per user interest")
