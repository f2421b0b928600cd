"""Single settings of a profile by dotted name: read, and changed.

A profile as a whole is `ml.config.pipeline`.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from ml.config.pipeline import PipelineConfig
from ml.config.ranges import Setting
from ml.errors import ConfigError


def setting(config: PipelineConfig, name: str) -> Setting:
    """The value of `section.field`."""
    section, _, field = name.partition(".")
    value: Setting = getattr(getattr(config, section), field)
    return value


def changed(config: PipelineConfig, settings: Mapping[str, Setting]) -> PipelineConfig:
    """The profile with some settings changed; raises `ConfigError` where they do not hold."""
    try:
        return PipelineConfig.model_validate(changed_content(config.model_dump(), settings))
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, found['loc']))}: {found['msg']}" for found in error.errors())
        raise ConfigError(f"settings {dict(settings)}: {problems}") from error


def changed_content(content: Mapping[str, Any], settings: Mapping[str, Setting]) -> dict[str, Any]:
    """A profile's content, as YAML has it, with some settings changed or added."""
    found = dict(content)
    for name, value in settings.items():
        section, _, field = name.partition(".")
        found[section] = {**(found.get(section) or {}), field: value}
    return found
