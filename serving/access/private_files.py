"""Files that only their owner may read, changed by one process at a time, seen by running services at once.

What is in them is their owners' business: `serving.access.keys` and `serving.access.secrets`.
"""

import fcntl
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from ml.contracts.files import write_text
from ml.errors import AccessError

Content = TypeVar("Content", bound=BaseModel)
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class FileSection(BaseModel):
    """A part of such a file: nothing more than declared, never changed in place."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def read_private(path: Path, form: type[Content]) -> Content:
    """The file's content; raises `AccessError` where it is torn, wrong, or readable by others, `FileNotFoundError` where it is not."""
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & _OTHERS:
        raise AccessError(f"{path} may be read or written by others (mode {mode:04o}); close it with: chmod 600 {path}")
    try:
        return form.model_validate_json(path.read_bytes())
    except PermissionError as error:
        raise AccessError(f"{path} may not be read by this process; run it as the file's owner") from error
    except ValidationError as error:
        # Never the values: they are what must not be shown.
        found = error.errors(include_input=False)
        problems = "; ".join(f"{'.'.join(map(str, problem['loc'])) or 'file'}: {problem['msg']}" for problem in found)
        raise AccessError(f"{path} does not hold what it must ({problems}); put back a whole copy, or remove it to begin anew") from error


def write_private(content: BaseModel, path: Path) -> None:
    """Replace the file at once, mode 0600, in a folder of mode 0700."""
    _private_folder(path.parent)
    write_text(content.model_dump_json(indent=2) + "\n", path, mode=0o600)


@contextmanager
def one_writer(folder: Path) -> Iterator[None]:
    """Whoever reads, changes and writes a file of this folder waits here for the one before."""
    _private_folder(folder)
    with (folder / ".lock").open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _private_folder(folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)


class Watched(Generic[Content]):
    """A private file as it is now: read again when it has changed, at the price of one `stat`."""

    def __init__(self, path: Path, form: type[Content]) -> None:
        self.path = path
        self._read: Callable[[], Content] = lambda: read_private(path, form)
        self._seen: tuple[int, ...] | None = None
        self._content: Content | None = None
        self._error: AccessError | None = None

    def content(self) -> Content | None:
        """What it holds, None where there is no file; raises `AccessError` as long as it is wrong."""
        identity = self._identity()
        if identity is None or identity != self._seen:
            self._seen, self._content, self._error = identity, None, None
            if identity is not None:
                self._load()
        if self._error is not None:
            raise self._error
        return self._content

    def _load(self) -> None:
        try:
            self._content = self._read()
        except AccessError as error:
            self._error = error
        except FileNotFoundError:
            self._seen = None

    def _identity(self) -> tuple[int, ...] | None:
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return None
        except PermissionError as error:
            raise AccessError(f"{self.path} may not be seen by this process; run it as the file's owner") from error
        return (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
