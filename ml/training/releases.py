"""Releases: immutable directories with an id, one pointer to the live one, and the way back.

A release is complete when its manifest is there: files are copied under a
temporary name, hashed, renamed, and the manifest names every one of them.
`current` is one small file, replaced atomically; a reader of a release never
sees half of it. What goes into a release is the caller's business.
"""

import hashlib
import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from ml.contracts.files import sha256_of, sync_tree, temporary_name, write_text
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
        temporary = temporary_name(self.root / f"adding-{day:%Y%m%d}")
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.copytree(source, temporary)
        for name, content in documents.items():
            write_text(content, temporary / name)
        manifest = {"day": day.isoformat(), "made_from": dict(made_from), "files": _hashes(temporary)}
        text = json.dumps(manifest, indent=2, sort_keys=True, ensure_ascii=False)
        release_id = f"{day:%Y%m%d}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
        write_text(text, temporary / MANIFEST)
        sync_tree(temporary)
        self._keep(temporary, release_id)
        return self.get(release_id)

    def _keep(self, temporary: Path, release_id: str) -> None:
        """Rename a finished directory to its place, unless a whole one is there already."""
        directory = self.root / release_id
        if directory.exists() and not _broken(directory):
            shutil.rmtree(temporary)
            return
        aside = temporary.with_suffix(".old")
        if directory.exists():
            directory.rename(aside)
        temporary.rename(directory)
        shutil.rmtree(aside, ignore_errors=True)

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
        if broken := _broken(directory):
            raise ReleaseError(f"release {release_id} is torn: {', '.join(broken)} absent or changed; train its day again or roll back")
        manifest = _read_manifest(directory)
        return Release(release_id, directory, date.fromisoformat(manifest["day"]), manifest["made_from"])

    def releases(self) -> list[Release]:
        """Every release, oldest day first."""
        return [self.get(directory.name) for directory in self._directories()]

    def inspect(self) -> dict[str, str]:
        """Every release id, oldest day first, and what is wrong with it ("" where nothing is)."""
        return {directory.name: ", ".join(_broken(directory)) for directory in self._directories()}

    def is_whole(self, release_id: str) -> bool:
        """Whether a release is there with every file its manifest names, unchanged."""
        return (self.root / release_id).is_dir() and not _broken(self.root / release_id)

    def rolled_back(self) -> set[str]:
        """Ids somebody rolled back from and nobody promoted by hand since: they never go live again by themselves."""
        return self._history()[1]

    def current_id(self) -> str | None:
        """The id the pointer names, whether that release is whole or not."""
        pointer = self.root / CURRENT
        return pointer.read_text(encoding="utf-8").strip() if pointer.exists() else None

    def current(self) -> Release | None:
        """The live release; None before the first promotion."""
        live_id = self.current_id()
        return self.get(live_id) if live_id else None

    def promote(self, release_id: str, *, reason: str, force: bool = False) -> Release:
        """Make a release live, also in the place of a torn one. One of an older day than the live one is refused unless forced."""
        release = self.get(release_id)
        live_id = self.current_id()
        if live_id and release.day < _day_of(live_id) and not force:
            raise ReleaseError(f"release {release_id} is older than the live {live_id}; rolling back is its own command")
        if live_id != release_id:
            self._point_at(release_id, move="promote", reason=reason)
        return release

    def before(self, release_id: str | None = None) -> Release:
        """What a rollback makes live: the given release, which was live on the way to the current one, or the one before that.

        The live one itself is given back as it is. Raises `ReleaseError` where there is none or it is torn.
        """
        live_id, way = self.current_id(), self._history()[0]
        if release_id is None and not way[:-1]:
            raise ReleaseError("there is no release to roll back to")
        if release_id is not None and release_id != live_id and release_id not in way:
            known = ", ".join(way[:-1]) or "none"
            raise ReleaseError(f"release {release_id} was not live before {live_id}; those that were, oldest first: {known}")
        return self.get(release_id or way[-2])

    def rollback(self, release_id: str | None = None) -> Release:
        """Make live again what `before` names, whether the live one is torn or not. Rolling back to the live one moves nothing.

        Once more goes one further back, never forward to what was rolled back from.
        """
        live_id, release = self.current_id(), self.before(release_id)
        if release.release_id != live_id:
            self._point_at(release.release_id, move="rollback", reason=f"rolled back from {live_id}")
        return release

    def promotions(self) -> list[dict[str, str]]:
        """Every move of the pointer, oldest first: `release_id`, `move` (promote or rollback) and `reason`."""
        path = self.root / PROMOTIONS
        moves = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []
        # The history is written just before the pointer: a crash in between leaves a move that never happened.
        return moves if not moves or moves[-1]["release_id"] == self.current_id() else moves[:-1]

    def _history(self) -> tuple[list[str], set[str]]:
        """Ids on the way to the live one, which is last (promotions, less those rolled back), and those rolled back from."""
        way: list[str] = []
        left: set[str] = set()
        for move in self.promotions():
            if move["move"] == "rollback":
                left.add(way.pop())
                while way[-1] != move["release_id"]:
                    left.add(way.pop())
            else:
                way.append(move["release_id"])
                left.discard(move["release_id"])
        return way, left

    def _point_at(self, release_id: str, *, move: str, reason: str) -> None:
        lines = [*self.promotions(), {"release_id": release_id, "move": move, "reason": reason}]
        write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), self.root / PROMOTIONS)
        write_text(release_id, self.root / CURRENT)

    def _directories(self) -> list[Path]:
        return sorted(path for path in self.root.glob("*-*") if _RELEASE_ID.fullmatch(path.name))


def _day_of(release_id: str) -> date:
    return date.fromisoformat(release_id.partition("-")[0])


def _read_manifest(directory: Path) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads((directory / MANIFEST).read_text(encoding="utf-8"))
    return manifest


def _broken(directory: Path) -> list[str]:
    """Files that are absent, added or changed since the manifest was written; the manifest itself where it is not there."""
    if not (directory / MANIFEST).exists():
        return [MANIFEST]
    written, found = _read_manifest(directory)["files"], _hashes(directory)
    return sorted(name for name in written.keys() | found.keys() if written.get(name) != found.get(name))


def _hashes(directory: Path) -> dict[str, str]:
    files = sorted(path for path in directory.rglob("*") if path.is_file() and path.name != MANIFEST)
    return {str(path.relative_to(directory)): sha256_of(path) for path in files}
