"""Settings of the interest graph: `graph` in a profile."""

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from ml.config.sections.section import Section


class GraphConfig(Section):
    """Building the interest graph."""

    half_life_days: PositiveFloat = Field(90.0, description="days after which an interaction edge counts half")
    min_edge_weight: NonNegativeFloat = Field(
        0.01, description="edges below are noise and left out; of behaviour, below this share of the user's strongest"
    )
    num_similar: PositiveInt = Field(10, description="nearest items by meaning among which an item's similar ones are")
    similar_noise_quantile: float = Field(
        0.99, ge=0, lt=1, description="quantile of the cosines of random pairs of items: the noise floor of similar items"
    )
    max_noise_pairs: PositiveInt = Field(100_000, description="random pairs of items the noise floor is read from, drawn by seed")
    prune_implied: bool = Field(True, description="leave out an interest that one within it, held at least as strongly, already implies")
    max_edges_per_node: PositiveInt = Field(
        1000, description="edges of similar, about and has_interest that a node keeps, the strongest of each; hubs have more"
    )
    seed: int = Field(7, description="seed of the random pairs")
