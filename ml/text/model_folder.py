"""What stands for a model that lies in a folder: the hash of what decides its vectors. Starts without transformers."""

import hashlib
from pathlib import Path

from ml.errors import ConfigError

_HASHED_SUFFIXES = frozenset({".json", ".safetensors", ".txt", ".model"})


def hash_folder(folder: Path) -> str:
    """sha256 over names and contents of a model folder's weights, tokenizer and settings.

    Raises `ConfigError` where the folder holds no safetensors.
    """
    files = sorted(path for path in folder.iterdir() if path.is_file() and path.suffix in _HASHED_SUFFIXES)
    _require_safetensors(folder)
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as handle:
            digest.update(f"{path.name}:{hashlib.file_digest(handle, 'sha256').hexdigest()}\n".encode())
    return digest.hexdigest()


def _require_safetensors(folder: Path) -> None:
    if not any(folder.glob("*.safetensors")):
        raise ConfigError(f"text.model {folder} holds no .safetensors; convert it (save_pretrained of transformers writes that format)")
