"""Answers of an endpoint by the hash of what was asked: a file each, whole or absent, so that a killed run loses at most one.

What an answer means is `ml.knowledge.extraction`.
"""

import json
from pathlib import Path

from ml.contracts.files import write_text


class AnswerCache:
    """Answers below one folder."""

    def __init__(self, folder: Path) -> None:
        """`folder` need not be there yet."""
        self._folder = folder

    def get(self, key: str) -> str | None:
        """The answer to what hashes to `key`; None where it was never kept or its file is torn."""
        path = self._path(key)
        if not path.exists():
            return None
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            # A torn file is an answer nobody has; it is asked for again.
            return None
        content = kept.get("answer") if isinstance(kept, dict) else None
        return content if isinstance(content, str) else None

    def put(self, key: str, answer: str) -> None:
        """Keep an answer; one that is there stays as it is."""
        if self.get(key) is None:
            write_text(json.dumps({"answer": answer}, ensure_ascii=False), self._path(key))

    def _path(self, key: str) -> Path:
        return self._folder / key[:2] / f"{key}.json"
