"""Settings of the list that is shown: `reranking` in a profile."""

from collections.abc import Mapping

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from ml.config.sections.section import Section


class RerankingConfig(Section):
    """From the best candidates to the list shown; apart from `ranking`, so that a change makes no table again."""

    drop_seen: bool = Field(True, description="leave out items that the user met")
    stock_attribute: str | None = Field(None, description="attribute of items that tells of stock; none: all are in stock")
    out_of_stock_values: tuple[str, ...] = Field(
        ("0", "false", "no", "out of stock", "sold out"), description="values of that attribute that mean out of stock, by any case"
    )
    freshness_weight: NonNegativeFloat = Field(0.0, description="points of score added to an item that appeared now")
    freshness_half_life_days: PositiveFloat = Field(30.0, description="days after which half of that is left")
    diversity: float = Field(0.0, ge=0, le=1, description="strength of variety (MMR) where a request names none; 0: the order of scores")
    caps: Mapping[str, PositiveInt] = Field({}, description="most items per value in one list, by category or any attribute")
    exploration: float = Field(0.0, ge=0, le=1, description="share of a list's places, the last ones, that are filled by chance")
    exploration_pool: PositiveInt = Field(100, description="candidates beyond the list that chance may draw from")
    exploration_temperature: PositiveFloat | None = Field(
        None, description="softmax temperature of the draw, in points of score; none: all of the pool alike"
    )
