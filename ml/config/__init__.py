"""What can be set, and where things lie. Nothing here reads the environment."""

from ml.config.layout import DatasetHome
from ml.config.pipeline import PipelineConfig, load_profile

__all__ = ["DatasetHome", "PipelineConfig", "load_profile"]
