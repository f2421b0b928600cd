"""Long work over many ids on disk piece by piece, so that a killed run goes on where it was, to the same bytes.

A shard is a Parquet file that appears whole (`ml.contracts.files`) with its sha256 beside it, so that one torn by a
failing disk is made again. What is made of the ids is the caller's business, and so is dropping the folder
once the whole is written: a kill in between must not cost the shards.
"""

import hashlib
import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ml.contracts.files import sha256_of, write_parquet, write_text
from ml.top_n import Progress

_LOG = logging.getLogger(__name__)

Make = Callable[[pa.Array, Progress | None], pa.Table]


class Shards:
    """The shards of one piece of work in `directory`; `fingerprint` stands for everything but the ids that determines it."""

    def __init__(self, directory: Path, *, fingerprint: str, size: int) -> None:
        """`size` is the number of ids in a shard. Raises `ValueError` for one below 1."""
        if size < 1:
            raise ValueError(f"a shard needs at least 1 id, got size {size}")
        self.directory = directory
        self.fingerprint = fingerprint
        self.size = size

    def each(self, ids: pa.Array, *, make: Make, progress: Progress | None = None) -> pa.Table:
        """What `make` gives for the ids of every shard, one after another; finished shards of the same work are read, not made.

        Shards of anything else in the folder are removed. `make` is told where to report progress.
        """
        folder = self._folder(ids)
        self._remove_all_but(folder)
        starts = range(0, max(len(ids), 1), self.size)
        tables = [
            self._shard(
                folder / f"shard-{start // self.size:06d}.parquet", ids.slice(start, self.size), make, _within(progress, start, ids)
            )
            for start in starts
        ]
        return pa.concat_tables(tables)

    def _shard(self, path: Path, ids: pa.Array, make: Make, progress: Progress | None) -> pa.Table:
        found = _read(path)
        if found is None:
            found = make(ids, progress)
            write_parquet(found, path)
            write_text(json.dumps({"sha256": sha256_of(path)}), _seal(path))
        elif progress is not None:
            progress(len(ids), len(ids))
        return found

    def _folder(self, ids: pa.Array) -> Path:
        """A folder of this work's own: the ids of a shard, and so what it holds, follow from the name."""
        digest = hashlib.sha256(f"{self.fingerprint}\n{self.size}\n{len(ids)}\n".encode())
        for identifier in ids.to_pylist():
            digest.update(f"{len(identifier)}:{identifier}".encode())
        return self.directory / digest.hexdigest()[:32]

    def _remove_all_but(self, folder: Path) -> None:
        for other in self.directory.glob("*"):
            if other != folder:
                _LOG.info("%s is of other work and is removed", other)
                shutil.rmtree(other) if other.is_dir() else other.unlink()


def _read(path: Path) -> pa.Table | None:
    """A finished shard, or None where it is not there or holds other bytes than it was finished with."""
    try:
        sealed = json.loads(_seal(path).read_text(encoding="utf-8"))["sha256"]
        if sealed == sha256_of(path):
            return pq.read_table(path, partitioning=None)
        _LOG.warning("%s holds other bytes than were written and is made again", path)
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        _LOG.warning("%s is torn and its shard is made again: %s", _seal(path), error)
    return None


def _seal(path: Path) -> Path:
    return path.with_suffix(".json")


def _within(progress: Progress | None, start: int, ids: pa.Array) -> Progress | None:
    """Progress of a shard as progress of the whole."""
    return (lambda done, _total: progress(start + done, len(ids))) if progress is not None else None
