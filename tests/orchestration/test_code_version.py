"""A version moves when code that decides values moves, when a setting does, and only then."""

from pathlib import Path

import pytest

from examples.shop.simulate import SampleSettings, write_sample
from ml.config import PipelineConfig
from ml.intake.dataset import load_dataset
from orchestration import code_version as module
from orchestration.code_version import code_version

CONFIG = PipelineConfig()


def followed(name: str) -> set[str]:
    return set(module._closure(f"orchestration.assets.{name}"))


def test_only_what_computes_is_followed() -> None:
    text = followed("text")
    assert {"orchestration.assets.text", "ml.text.encoder", "ml.text.cache", "ml.text.pooling"} <= text
    assert not any(name.startswith(("ml.models", "ml.config", "ml.errors", "orchestration.scope")) for name in text)
    assert {"ml.models.gnn.convolution", "ml.evaluation.split", "ml.evaluation.gate", "ml.graph.build"} <= followed("model")
    assert "monitoring.drift" in followed("monitoring")


def test_a_setting_moves_the_version_of_its_own_assets() -> None:
    found = code_version("orchestration.assets.text", settings=(CONFIG.text,))
    assert found == code_version("orchestration.assets.text", settings=(CONFIG.text,))
    other = CONFIG.text.model_copy(update={"max_tokens": 64})
    assert found != code_version("orchestration.assets.text", settings=(other,))
    assert found.partition("-")[0] == code_version("orchestration.assets.text", settings=(other,)).partition("-")[0]


def test_where_the_landing_files_lie_is_no_setting(tmp_path) -> None:
    here, there = (write_sample(tmp_path / name, settings=SampleSettings(num_users=40, num_items=40, num_days=8)) for name in ("a", "b"))
    found, moved = (load_dataset(path, variables={}) for path in (here, there))
    version = code_version("orchestration.assets.raw", settings=(found,))
    assert version == code_version("orchestration.assets.raw", settings=(moved,))
    other = found.model_copy(update={"timezone": "Asia/Shanghai"})
    assert version != code_version("orchestration.assets.raw", settings=(other,))


@pytest.mark.parametrize(("changed", "moves"), [("ml/text/pooling.py", True), ("ml/models/gnn/loss.py", False)])
def test_a_changed_file_moves_who_imports_it(monkeypatch, tmp_path, changed, moves) -> None:
    before = module._code_hash("orchestration.assets.text")
    real = module._source

    def changed_source(name: str) -> Path | None:
        path = real(name)
        if path is None or not str(path).endswith(changed):
            return path
        copy = tmp_path / path.name
        copy.write_text(path.read_text() + "\nCHANGED = True\n")
        return copy

    monkeypatch.setattr(module, "_source", changed_source)
    module._code_hash.cache_clear()
    try:
        assert (module._code_hash("orchestration.assets.text") != before) == moves
    finally:
        module._code_hash.cache_clear()
