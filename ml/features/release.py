"""Rows of one release never meet rows of another."""

import pyarrow as pa
import pyarrow.compute as pc

from ml.errors import ReleaseError


def check_release(table: pa.Table, *, name: str, release_id: str) -> None:
    """Raise `ReleaseError` if a row carries another release id."""
    found = [other for other in pc.unique(table.column("release_id")).to_pylist() if other != release_id]
    if found:
        mend = f"materialize {name} again for the release in force"
        raise ReleaseError(f"table {name} holds rows of release {', '.join(sorted(found))}, wanted {release_id}: {mend}")
