"""Everything a profile can set: one frozen model, a part per stage.

A function takes only its stage's part. A section's fields are in its own file in `ml.config.sections`; here is
which sections there are, what they ask of each other, and where code imports them from. `docs/config.md` is generated from them.
"""

from pathlib import Path
from typing import Self

import yaml
from pydantic import Field, ValidationError, model_validator

from ml.config.sections.communities import CommunityConfig
from ml.config.sections.evaluation import EvaluationConfig
from ml.config.sections.explanation import ExplanationConfig
from ml.config.sections.extractor import ExtractorConfig
from ml.config.sections.features import FeatureStoreConfig
from ml.config.sections.finetuning import FinetuningConfig
from ml.config.sections.graph import GraphConfig
from ml.config.sections.hybrid import HybridConfig, PooledModel
from ml.config.sections.intake import IntakeConfig
from ml.config.sections.interests import InterestConfig
from ml.config.sections.knowledge import KnowledgeConfig
from ml.config.sections.model import LightGCNConfig, ModelConfig
from ml.config.sections.monitoring import MonitoringConfig
from ml.config.sections.question import QuestionConfig
from ml.config.sections.ranking import RankingConfig
from ml.config.sections.reranking import RerankingConfig
from ml.config.sections.reviews import ReviewConfig
from ml.config.sections.search import SearchConfig
from ml.config.sections.section import Section
from ml.config.sections.serving import ServingConfig
from ml.config.sections.text import TextConfig
from ml.errors import ConfigError

__all__ = [
    "CommunityConfig",
    "EvaluationConfig",
    "ExplanationConfig",
    "ExtractorConfig",
    "FeatureStoreConfig",
    "FinetuningConfig",
    "GraphConfig",
    "HybridConfig",
    "IntakeConfig",
    "InterestConfig",
    "KnowledgeConfig",
    "LightGCNConfig",
    "ModelConfig",
    "MonitoringConfig",
    "PipelineConfig",
    "PooledModel",
    "QuestionConfig",
    "RankingConfig",
    "RerankingConfig",
    "ReviewConfig",
    "SearchConfig",
    "ServingConfig",
    "TextConfig",
    "load_profile",
]


class PipelineConfig(Section):
    """A whole profile."""

    intake: IntakeConfig = Field(default_factory=IntakeConfig)
    text: TextConfig = Field(default_factory=TextConfig)
    finetuning: FinetuningConfig = Field(default_factory=FinetuningConfig)
    reviews: ReviewConfig = Field(default_factory=ReviewConfig)
    interests: InterestConfig = Field(default_factory=InterestConfig)
    knowledge: KnowledgeConfig = Field(default_factory=KnowledgeConfig)
    extractor: ExtractorConfig = Field(default_factory=ExtractorConfig)
    graph: GraphConfig = Field(default_factory=GraphConfig)
    communities: CommunityConfig = Field(default_factory=CommunityConfig)
    model: ModelConfig = Field(default_factory=ModelConfig)
    hybrid: HybridConfig = Field(default_factory=HybridConfig)
    evaluation: EvaluationConfig = Field(default_factory=EvaluationConfig)
    ranking: RankingConfig = Field(default_factory=RankingConfig)
    explanation: ExplanationConfig = Field(default_factory=ExplanationConfig)
    reranking: RerankingConfig = Field(default_factory=RerankingConfig)
    question: QuestionConfig = Field(default_factory=QuestionConfig)
    features: FeatureStoreConfig = Field(default_factory=FeatureStoreConfig)
    serving: ServingConfig = Field(default_factory=ServingConfig)
    monitoring: MonitoringConfig = Field(default_factory=MonitoringConfig)
    search: SearchConfig = Field(default_factory=SearchConfig)

    @model_validator(mode="after")
    def _projection_is_of_the_model(self) -> Self:
        if self.finetuning.enabled and self.text.projection:
            raise ValueError(
                "text.projection was fitted on the vectors of text.model, a fine-tuned model gives others; leave it out, or set "
                "finetuning.enabled to false"
            )
        return self

    @model_validator(mode="after")
    def _hybrid_has_vectors(self) -> Self:
        if "interest_gnn" not in self.hybrid.models:
            raise ValueError("hybrid.models must name interest_gnn: its vectors are what similar items and features are made of")
        return self


def load_profile(path: Path) -> PipelineConfig:
    """Read a profile; raises `ConfigError` naming every field that does not hold."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        return PipelineConfig.model_validate(content)
    except FileNotFoundError as error:
        raise ConfigError(f"profile {path} does not exist; the shipped ones are in orchestration/profiles/") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"profile {path} is not valid YAML: {error}") from error
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, found['loc']))}: {found['msg']}" for found in error.errors())
        raise ConfigError(f"profile {path}: {problems}") from error
