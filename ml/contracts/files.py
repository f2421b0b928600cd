"""Files that are whole or absent: temporary name, sync, rename, sync of the folder.

Every artefact of this project is written through here or, where another program
writes it, synced here. What is in a file is its writer's business.
"""

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

_BLOCK = 1 << 20


def write_parquet(table: pa.Table, path: Path) -> Path:
    """Write a Parquet file that is whole or absent; equal tables give equal bytes."""
    with _whole_or_absent(path) as handle:
        pq.write_table(table, handle, compression="zstd")
    return path


def write_text(text: str, path: Path) -> Path:
    """Write a UTF-8 text file that is whole or absent."""
    with _whole_or_absent(path) as handle:
        handle.write(text.encode("utf-8"))
    return path


@contextmanager
def whole_directory(directory: Path) -> Iterator[Path]:
    """An empty folder to write into; it takes the place of `directory`, synced, when the block ends without error."""
    temporary = directory.with_name(f".{directory.name}.{os.getpid()}.tmp")
    aside = directory.with_name(f".{directory.name}.{os.getpid()}.old")
    for leftover in (temporary, aside):
        shutil.rmtree(leftover, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        yield temporary
        sync_tree(temporary)
        if directory.exists():
            directory.rename(aside)
        temporary.rename(directory)
        sync_directory(directory.parent)
    finally:
        for leftover in (temporary, aside):
            shutil.rmtree(leftover, ignore_errors=True)


def sync_tree(directory: Path) -> None:
    """Have every file below a folder reach the disk."""
    for path in sorted(directory.rglob("*")):
        if path.is_file():
            sync_file(path)
    sync_directory(directory)


def sync_file(path: Path) -> None:
    """Have one file's bytes reach the disk."""
    with path.open("rb") as handle:
        os.fsync(handle.fileno())


def sync_directory(directory: Path) -> None:
    """Have a folder's names reach the disk, so that a rename outlives a power cut."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sha256_of(path: Path) -> str:
    """Hexadecimal sha256 of a file's bytes, or of the names and bytes of every file below a folder."""
    digest = hashlib.sha256()
    files = [path] if path.is_file() else sorted(found for found in path.rglob("*") if found.is_file())
    for file in files:
        if file != path:
            digest.update(f"{file.relative_to(path)}\n{file.stat().st_size}\n".encode())
        with file.open("rb") as handle:
            while block := handle.read(_BLOCK):
                digest.update(block)
    return digest.hexdigest()


@contextmanager
def _whole_or_absent(path: Path) -> Iterator[BinaryIO]:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as handle:
            yield handle
            handle.flush()
            os.fsync(handle.fileno())
        temporary.replace(path)
        sync_directory(path.parent)
    finally:
        temporary.unlink(missing_ok=True)
