"""What an artefact says of itself: what it was made from, how much it holds, which bytes.

A manifest is a small JSON file beside its artefact, written last: without one, or
with one that names other bytes, the artefact counts as never finished. No clock
time is in it, so that the same day made twice has the same manifest.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

from ml.contracts.files import sha256_of, write_text
from ml.days import as_of


@dataclass(frozen=True)
class Recipe:
    """What decides an artefact's bytes: the version of code and settings, and the sha256 of every input by name."""

    code_version: str = "unversioned"
    inputs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Manifest:
    """One artefact of one day. `latest` is the newest moment in it, ISO 8601 in UTC, before `as_of`; None where it holds no times."""

    name: str
    day: date
    num_rows: int
    num_bytes: int
    sha256: str
    latest: datetime | None
    recipe: Recipe

    def write(self, path: Path) -> None:
        """Write it as JSON; equal manifests give equal bytes."""
        content = {
            "name": self.name,
            "day": self.day.isoformat(),
            "as_of": as_of(self.day).isoformat(),
            "num_rows": self.num_rows,
            "num_bytes": self.num_bytes,
            "sha256": self.sha256,
            "latest": self.latest.isoformat() if self.latest else None,
            **asdict(self.recipe),
        }
        write_text(json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n", path)


def read_manifest(path: Path) -> Manifest | None:
    """The manifest at `path`; None where there is none or it cannot be read."""
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        latest = content["latest"]
        return Manifest(
            name=content["name"],
            day=date.fromisoformat(content["day"]),
            num_rows=content["num_rows"],
            num_bytes=content["num_bytes"],
            sha256=content["sha256"],
            latest=datetime.fromisoformat(latest) if latest else None,
            recipe=Recipe(content["code_version"], content["inputs"]),
        )
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def is_whole(artefact: Path, manifest: Manifest) -> bool:
    """Whether the artefact is there and holds exactly the bytes its manifest names; reads all of it."""
    return artefact.exists() and sha256_of(artefact) == manifest.sha256


def combined(parts: Mapping[str, str]) -> str:
    """One sha256 for several named ones."""
    lines = "".join(f"{name} {digest}\n" for name, digest in sorted(parts.items()))
    return hashlib.sha256(lines.encode()).hexdigest()
