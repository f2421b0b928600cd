"""Finding the model a profile names, pinned, and loading it without running its code.

A name is a folder, an installed package that carries weights, or a hub id, tried
in that order. Safetensors only, `trust_remote_code` never, and a checkpoint that
does not fill every weight is refused; whether the hub may be asked at all
(HF_HUB_OFFLINE) is decided at the edges.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors import SafetensorError

from ml.errors import ConfigError
from ml.text.model_folder import hash_folder

_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class ModelSource:
    """Where a model lies. `revision` is what the embedding space records."""

    name: str
    location: str
    revision: str
    is_hub: bool


@dataclass(frozen=True)
class LoadedModel:
    """A network ready to run and its tokenizer."""

    network: torch.nn.Module
    tokenizer: Any
    config: Any


def find_model(model: str, *, revision: str) -> ModelSource:
    """Resolve a configured name. Raises `ConfigError` where it cannot be found or is not pinned."""
    folder = Path(model).expanduser()
    if folder.is_dir():
        return ModelSource(name=folder.resolve().name, location=str(folder), revision=f"sha256:{hash_folder(folder)}", is_hub=False)
    installed = _installed_version(model)
    if installed is not None:
        return _package_source(model, revision=revision, installed=installed)
    if model.startswith(("/", ".", "~")):
        raise ConfigError(
            f"text.model is the path {model}, which is no folder; give the folder that holds config.json and model.safetensors"
        )
    if not _COMMIT.fullmatch(revision):
        raise ConfigError(
            f"text.model {model} is neither a folder nor an installed package, so it is taken for a hub id, and text.revision "
            f"{revision!r} is not a 40-hex commit; pin one (the page 'Files and versions' of the model shows it)"
        )
    return ModelSource(name=model, location=model, revision=revision, is_hub=True)


def load_model(source: ModelSource, *, dtype: torch.dtype, device: str) -> LoadedModel:
    """Load network and tokenizer. Raises `ConfigError` for anything that is not a whole, plain encoder or decoder."""
    options: dict[str, Any] = {"trust_remote_code": False, "local_files_only": not source.is_hub}
    if source.is_hub:
        options["revision"] = source.revision
    try:
        with _without_progress_bars():
            tokenizer = transformers.AutoTokenizer.from_pretrained(source.location, **options)
            network, loading = transformers.AutoModel.from_pretrained(
                source.location, dtype=dtype, use_safetensors=True, output_loading_info=True, **options
            )
    except (OSError, ValueError, SafetensorError) as error:
        raise ConfigError(f"text.model {source.name} ({source.location}) does not load: {error}") from error
    _require_whole(source, loading)
    if network.config.is_encoder_decoder:
        raise ConfigError(f"text.model {source.name} is an encoder-decoder; use a model of one stack (BERT-like or decoder-only)")
    network.config.use_cache = False  # a decoder would keep keys and values that nobody asks for
    return LoadedModel(network=network.eval().to(device), tokenizer=tokenizer, config=network.config)


def save_model(loaded: LoadedModel, folder: Path) -> None:
    """Write a model as a folder that `find_model` finds; equal models give equal bytes, wherever they came from."""
    network: Any = loaded.network
    network.config.name_or_path = loaded.tokenizer.name_or_path = ""
    with _without_progress_bars():
        network.save_pretrained(folder)
        loaded.tokenizer.save_pretrained(folder)


def _installed_version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except (metadata.PackageNotFoundError, ValueError):
        return None


def _package_source(package: str, *, revision: str, installed: str) -> ModelSource:
    if revision != installed:
        raise ConfigError(f"text.revision is {revision}, but the installed package {package} is {installed}; set it to {installed}")
    files = [Path(str(file.locate())) for file in metadata.files(package) or []]
    folders = sorted({file.parent for file in files if file.suffix == ".safetensors" and (file.parent / "config.json").exists()})
    if len(folders) != 1:
        raise ConfigError(f"package {package} holds {len(folders)} folders with config.json and safetensors; give the folder as text.model")
    return ModelSource(name=package, location=str(folders[0]), revision=installed, is_hub=False)


def _require_whole(source: ModelSource, loading: dict[str, Any]) -> None:
    # A pooler head is never used here, so a checkpoint may lack it; anything else would be random numbers.
    missing = sorted(key for key in loading["missing_keys"] if "pooler" not in key)
    if missing or loading["mismatched_keys"]:
        raise ConfigError(
            f"text.model {source.name}: the checkpoint lacks {len(missing)} weight(s) of its own architecture "
            f"({', '.join(missing[:3])}) and {len(loading['mismatched_keys'])} do not fit; it is torn or of another model"
        )


@contextmanager
def _without_progress_bars() -> Iterator[None]:
    was_enabled = transformers.utils.logging.is_progress_bar_enabled()
    transformers.utils.logging.disable_progress_bar()
    try:
        yield
    finally:
        if was_enabled:
            transformers.utils.logging.enable_progress_bar()
