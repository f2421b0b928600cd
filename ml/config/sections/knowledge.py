"""Settings of the knowledge graph: `knowledge` in a profile."""

from pydantic import Field

from ml.config.sections.section import Section


class KnowledgeConfig(Section):
    """Building the knowledge graph."""

    link_texts: bool = Field(True, description="look for the names of entities and items in item texts")
    min_confidence: float = Field(0.6, gt=0, le=1, description="how sure a name in a text must be to become a triple")
