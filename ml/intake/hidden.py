"""The columns every landing relation carries beside the file's own.

They say where a row stands and why it could not be taken apart; a mapping
never sees them by accident, for no file column may bear their names.
"""

from collections.abc import Iterable

FILE = "__file"  # name of the file as shown to people
ROW = "__row"  # 1-based row in it
BROKEN = "__broken"  # why the row has no fields; null: it has
LINE = "__line"  # the row as text, where it has no fields or is JSON
HIDDEN = (FILE, ROW, BROKEN, LINE)

INVALID_TEXT = "holds bytes that are not of the file's encoding"
NOT_AN_OBJECT = "is not a JSON object"


def unique_names(names: Iterable[str]) -> list[str]:
    """Column names that differ for SQL, which ignores case: a repeated one gets _1, _2, ..., an empty one its position."""
    taken = set(HIDDEN)
    unique = []
    for position, given in enumerate(names):
        name = base = given.strip() or f"column{position}"
        number = 0
        while name.casefold() in taken:
            number += 1
            name = f"{base}_{number}"
        taken.add(name.casefold())
        unique.append(name)
    return unique
