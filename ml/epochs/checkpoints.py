"""Training under way on disk, so that a killed fit goes on where it was, to the same bits.

A checkpoint is a folder that appears whole (`ml.contracts.files`), its tensors under a sha256;
the last two are kept, so that one torn by a failing disk costs one epoch. What is in
one is the trainer's business.
"""

import hashlib
import json
import logging
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from ml.contracts.files import sha256_of, whole_directory, write_text

_LOG = logging.getLogger(__name__)

_KEPT = 2
_TENSORS_FILE, _ABOUT_FILE = "tensors.safetensors", "checkpoint.json"
_NAME = re.compile(r"epoch-(\d{6})")

# What reading a checkpoint of unknown content can raise.
_UNREADABLE = (OSError, ValueError, KeyError, TypeError, SafetensorError)


@dataclass(frozen=True)
class Checkpoint:
    """Where training stood after an epoch: tensors by name, and facts as JSON has them."""

    tensors: Mapping[str, Tensor]
    facts: Mapping[str, Any]


class Checkpoints:
    """The checkpoints of one fit in `directory`; `fingerprint` stands for everything that determines it."""

    def __init__(self, directory: Path, *, fingerprint: str) -> None:
        self.directory = directory
        self.fingerprint = fingerprint

    def write(self, epoch: int, checkpoint: Checkpoint) -> None:
        """Add one, then drop all but the last two."""
        with whole_directory(self.directory / f"epoch-{epoch:06d}") as folder:
            tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in checkpoint.tensors.items()}
            save_file(tensors, folder / _TENSORS_FILE)
            about = {
                "fingerprint": self.fingerprint,
                "sha256": sha256_of(folder / _TENSORS_FILE),
                "facts": checkpoint.facts,
                "facts_sha256": _sha256_of_json(checkpoint.facts),
            }
            write_text(json.dumps(about, indent=2, sort_keys=True), folder / _ABOUT_FILE)
        for stale in self._folders()[:-_KEPT]:
            shutil.rmtree(stale)

    def newest(self) -> Checkpoint | None:
        """The newest whole checkpoint of this fit, if there is one; everything else in the folder is removed."""
        whole: Checkpoint | None = None
        for folder in reversed(self._folders()):
            found = self._read(folder)
            if found is None:
                shutil.rmtree(folder)
            whole = whole or found
        for leftover in self._leftovers():
            shutil.rmtree(leftover)
        return whole

    def _read(self, folder: Path) -> Checkpoint | None:
        """One checkpoint, or None where it is torn or of another fit."""
        try:
            about = json.loads((folder / _ABOUT_FILE).read_text(encoding="utf-8"))
            if about["fingerprint"] != self.fingerprint:
                _LOG.info("checkpoint %s is of another fit and is removed", folder)
                return None
            if (about["sha256"], about["facts_sha256"]) != (sha256_of(folder / _TENSORS_FILE), _sha256_of_json(about["facts"])):
                raise ValueError("its contents are not what was written")
            return Checkpoint(load_file(folder / _TENSORS_FILE), about["facts"])
        except _UNREADABLE as error:
            _LOG.warning("checkpoint %s is torn and is removed, training goes on from the one before: %s", folder, error)
            return None

    def _folders(self) -> list[Path]:
        """Oldest first."""
        return sorted(path for path in self.directory.glob("epoch-*") if _NAME.fullmatch(path.name))

    def _leftovers(self) -> list[Path]:
        return [path for path in self.directory.glob(".epoch-*") if path.is_dir()]


def _sha256_of_json(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
