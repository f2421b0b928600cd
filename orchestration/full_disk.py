"""Whether a failure is a full disk, however deep below it was noticed, and the one sentence that says so."""

import errno
import shutil
from collections.abc import Iterator
from pathlib import Path

from dagster_shared.error import SerializableErrorInfo

from ml.errors import InterestGraphError

# As the system, SQLite and DuckDB say it; dbt's and Dagster's errors hold theirs as text.
_SIGNS = ("No space left on device", "Disk quota exceeded", "database or disk is full", "disk is full")
_NUMBERS = {errno.ENOSPC, errno.EDQUOT}
# Less than this and it is the disk, whatever the error says: SQLite calls it "disk I/O error".
_TOO_LITTLE_BYTES = 256 << 10


class DiskFullError(InterestGraphError):
    """The disk under the home folder took no more."""

    def __init__(self, home: Path, *, during: str) -> None:
        self.home = home
        self.free_bytes = shutil.disk_usage(home).free
        super().__init__(
            f"the disk is full: {home} takes no more ({self.free_bytes / 2**20:.1f} MiB free), noticed during {during}. "
            "Nothing is torn; what is finished stays. Make room and run the same again: it goes on from there."
        )


def is_disk_full(failure: BaseException | SerializableErrorInfo | None, *, home: Path) -> bool:
    """Whether any error of the chain is one of a full disk, or the disk is full now."""
    if any(sign in said for said in _messages(failure) for sign in _SIGNS):
        return True
    return home.exists() and shutil.disk_usage(home).free < _TOO_LITTLE_BYTES


def _messages(failure: BaseException | SerializableErrorInfo | None) -> Iterator[str]:
    while failure is not None:
        if isinstance(failure, SerializableErrorInfo):
            yield failure.message
            failure = failure.cause or failure.context
        else:
            yield str(failure)
            if isinstance(failure, OSError) and failure.errno in _NUMBERS:
                yield _SIGNS[0]
            failure = failure.__cause__ or failure.__context__
