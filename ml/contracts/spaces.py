"""Which embedding space a table's vectors belong to, and that two spaces never meet.

Every reader of vectors asks here before it compares them. What a space is made
of is `ml.text.space`.
"""

import pyarrow as pa
import pyarrow.compute as pc

from ml.errors import ContractError, EmbeddingSpaceError


def require_same_space(left: str, right: str) -> None:
    """Raise `EmbeddingSpaceError` unless two space ids are the same."""
    if left != right:
        raise EmbeddingSpaceError(left, right)


def space_of(table: pa.Table, *, name: str) -> str | None:
    """The one `space_id` of a table called `name`; None where it has no rows.

    Raises `EmbeddingSpaceError` where its rows come from several spaces, and
    `ContractError` where a row does not say.
    """
    spaces = pc.unique(table.column("space_id"))
    if spaces.null_count:
        raise ContractError(name, ["column space_id holds null(s)"])
    found = sorted(spaces.to_pylist())
    if len(found) > 1:
        raise EmbeddingSpaceError(str(found[0]), str(found[1]))
    return str(found[0]) if found else None
