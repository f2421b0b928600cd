"""Settings of answering free texts: `question` in a profile."""

from pydantic import Field, NonNegativeFloat, PositiveFloat

from ml.config.sections.section import Section


class QuestionConfig(Section):
    """Free texts answered through the graph and by their words; apart from `ranking`, so that a change makes no table again."""

    word_weight: NonNegativeFloat = Field(
        0.5, description="what the question's words in an item's text count at most, in units of cosine; 0: none"
    )
    graph_weight: NonNegativeFloat = Field(0.4, description="what arrives over the graph, at most, in units of cosine; 0: no graph")
    num_layers: int = Field(2, ge=1, le=4, description="edges that a message goes at most")
    restart: float = Field(0.5, ge=0, lt=1, description="share of every step that is the matched nodes' own message again")
    gate_power: PositiveFloat = Field(3.0, description="power of the cosine that a node passes messages on with")
    near_weight: float = Field(0.25, ge=0, le=1, description="message of a node near in meaning, where 1 is of one named in the text")
    num_near: int = Field(20, ge=0, description="nodes of a kind near in meaning that get a message at most")
