"""Files that are whole or absent: temporary name, sync, rename, sync of the folder.

Every artefact of this project is written through here or, where another program
writes it, synced here. What is in a file is its writer's business.
"""

import glob
import hashlib
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import psutil
import pyarrow as pa
import pyarrow.parquet as pq

_BLOCK = 1 << 20


def write_parquet(table: pa.Table, path: Path) -> Path:
    """Write a Parquet file that is whole or absent; equal tables give equal bytes."""
    with whole_file(path) as handle:
        pq.write_table(table, handle, compression="zstd")
    return path


def write_text(text: str, path: Path, *, mode: int | None = None) -> Path:
    """Write a UTF-8 text file that is whole or absent; `mode` are its permissions, default: as the process creates files."""
    with whole_file(path, mode=mode) as handle:
        handle.write(text.encode("utf-8"))
    return path


@contextmanager
def whole_file(path: Path, *, mode: int | None = None) -> Iterator[BinaryIO]:
    """A handle to write to; the file takes its place, synced, when the block ends without error.

    `mode` are its permissions, set before the first byte is written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_name(path)
    try:
        with temporary.open("wb") as handle:
            if mode is not None:
                os.fchmod(handle.fileno(), mode)
            yield handle
            handle.flush()
            os.fsync(handle.fileno())
        temporary.replace(path)
        sync_directory(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def whole_directory(directory: Path) -> Iterator[Path]:
    """An empty folder to write into; it takes the place of `directory`, synced, when the block ends without error."""
    temporary = temporary_name(directory)
    aside = temporary.with_suffix(".old")
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


def temporary_name(path: Path) -> Path:
    """Where this process prepares what will be `path`; what killed processes of this host left of the same is removed."""
    host = socket.gethostname()
    for leftover in path.parent.glob(f".{glob.escape(path.name)}.{glob.escape(host)}-*"):
        pid = leftover.stem.rpartition("-")[2]
        if leftover.suffix in {".tmp", ".old"} and pid.isdecimal() and not psutil.pid_exists(int(pid)):
            _remove(leftover)
    return path.with_name(f".{path.name}.{host}-{os.getpid()}.tmp")


def _remove(leftover: Path) -> None:
    if leftover.is_dir():
        shutil.rmtree(leftover, ignore_errors=True)
    else:
        leftover.unlink(missing_ok=True)


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
