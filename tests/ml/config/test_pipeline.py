"""A profile says every wrong field, and the shipped ones hold."""

import pytest

from ml.config import PipelineConfig, load_profile
from ml.errors import ConfigError


def test_shipped_profiles_hold(repository) -> None:
    for path in (repository / "orchestration" / "profiles").glob("*.yaml"):
        load_profile(path)
    assert load_profile(repository / "orchestration" / "profiles" / "default.yaml") == PipelineConfig()


def test_every_wrong_field_is_named(tmp_path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("model: {epochs: 0, embeding_size: 3}\ntext: {device: tpu}\n")
    with pytest.raises(ConfigError) as caught:
        load_profile(path)
    for name in ("model.epochs", "model.embeding_size", "text.device"):
        assert name in str(caught.value)


def test_missing_and_broken_files_say_so(tmp_path) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        load_profile(tmp_path / "none.yaml")
    path = tmp_path / "broken.yaml"
    path.write_text("model: [")
    with pytest.raises(ConfigError, match="not valid YAML"):
        load_profile(path)


def test_every_field_has_a_description() -> None:
    for name, field in PipelineConfig.model_fields.items():
        for inner, inner_field in field.annotation.model_fields.items():
            assert inner_field.description, f"{name}.{inner}"
