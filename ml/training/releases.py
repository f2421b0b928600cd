"""Releases: immutable directories with an id, one pointer to the live one, and the way back.

A release is complete when its manifest is there: files are copied under a
temporary name, hashed, renamed, and the manifest names every one of them.
`current` is one small file, replaced atomically; a reader of a release never
sees half of it. What goes into a release is the caller's business.
"""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from ml.contracts.store import write_text
from ml.errors import ReleaseError

MANIFEST = "manifest.json"
CURRENT = "current"
PROMOTIONS = "promotions.jsonl"
_RELEASE_ID = re.compile(r"\d{8}-[0-9a-f]{12}")


@dataclass(frozen=True)
class Release:
    """A complete release: its id, directory, day, and what it was made from."""

    release_id: str
    directory: Path
    day: date
    made_from: Mapping[str, str]


class ReleaseStore:
    """The releases of one dataset below `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def add(self, source: Path, *, day: date, made_from: Mapping[str, str], documents: Mapping[str, str]) -> Release:
        """Make a release of the files below `source` plus text `documents` (name to content).

        The id is the day and a hash of all contents, so adding the same again gives the same
        release. `made_from` (fingerprints, versions, embedding space) goes into the manifest.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        temporary = self.root / f".adding-{day:%Y%m%d}-{os.getpid()}"
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.copytree(source, temporary)
        for name, content in documents.items():
            write_text(content, temporary / name)
        manifest = {"day": day.isoformat(), "made_from": dict(made_from), "files": _hashes(temporary)}
        text = json.dumps(manifest, indent=2, sort_keys=True, ensure_ascii=False)
        release_id = f"{day:%Y%m%d}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
        write_text(text, temporary / MANIFEST)
        _sync_files(temporary)
        if (self.root / release_id).exists():
            shutil.rmtree(temporary)
        else:
            temporary.rename(self.root / release_id)
        return self.get(release_id)

    def get(self, release_id: str) -> Release:
        """A release after checking every file against its manifest.

        Raises `ReleaseError` naming what is absent, torn or changed.
        """
        directory = self.root / release_id
        if not _RELEASE_ID.fullmatch(release_id) or not directory.is_dir():
            known = ", ".join(found.name for found in self._directories()) or "none"
            raise ReleaseError(f"release {release_id} does not exist in {self.root}; there are: {known}")
        if not (directory / MANIFEST).exists():
            raise ReleaseError(f"release {release_id} has no {MANIFEST}: it was never completed; train its day again")
        manifest = json.loads((directory / MANIFEST).read_text(encoding="utf-8"))
        found = _hashes(directory)
        broken = sorted(name for name in manifest["files"].keys() | found.keys() if manifest["files"].get(name) != found.get(name))
        if broken:
            raise ReleaseError(f"release {release_id} is torn: {', '.join(broken)} absent or changed; train its day again or roll back")
        return Release(release_id, directory, date.fromisoformat(manifest["day"]), manifest["made_from"])

    def releases(self) -> list[Release]:
        """Every release, oldest day first."""
        return [self.get(directory.name) for directory in self._directories()]

    def current(self) -> Release | None:
        """The live release; None before the first promotion."""
        pointer = self.root / CURRENT
        return self.get(pointer.read_text(encoding="utf-8").strip()) if pointer.exists() else None

    def promote(self, release_id: str, *, reason: str, force: bool = False) -> Release:
        """Make a release live. One of an older day than the live one is refused unless forced."""
        release = self.get(release_id)
        live = self.current()
        if live and release.day < live.day and not force:
            raise ReleaseError(f"release {release_id} is older than the live {live.release_id}; rolling back is its own command")
        if live is None or live.release_id != release_id:
            self._point_at(release_id, reason=reason)
        return release

    def rollback(self) -> Release:
        """Make the release that was live before the current one live again."""
        live = self.current()
        before = [promotion["release_id"] for promotion in self.promotions() if live and promotion["release_id"] != live.release_id]
        if not live or not before:
            raise ReleaseError("there is no release to roll back to")
        release = self.get(before[-1])
        self._point_at(release.release_id, reason=f"rolled back from {live.release_id}")
        return release

    def promotions(self) -> list[dict[str, str]]:
        """Every move of the pointer, oldest first: `release_id` and `reason`."""
        path = self.root / PROMOTIONS
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []

    def _point_at(self, release_id: str, *, reason: str) -> None:
        lines = [*self.promotions(), {"release_id": release_id, "reason": reason}]
        write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), self.root / PROMOTIONS)
        write_text(release_id, self.root / CURRENT)

    def _directories(self) -> list[Path]:
        return sorted(path for path in self.root.glob("*-*") if _RELEASE_ID.fullmatch(path.name))


def _hashes(directory: Path) -> dict[str, str]:
    files = sorted(path for path in directory.rglob("*") if path.is_file() and path.name != MANIFEST)
    return {str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def _sync_files(directory: Path) -> None:
    for path in directory.rglob("*"):
        if path.is_file():
            with path.open("rb") as handle:
                os.fsync(handle.fileno())
