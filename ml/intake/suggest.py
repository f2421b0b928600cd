"""The nearest known name to a misspelt one, in words."""

import difflib
from collections.abc import Iterable


def closest(name: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?` or, where nothing is near, an empty text."""
    by_folded = {candidate.casefold(): candidate for candidate in sorted(known, reverse=True)}
    near = difflib.get_close_matches(name.casefold(), list(by_folded), n=1, cutoff=0.6)
    return f"; did you mean {by_folded[near[0]]!r}?" if near else ""


def listing(names: Iterable[str], *, limit: int = 30) -> str:
    """Names in a row, cut after `limit`."""
    shown = list(names)
    more = f", and {len(shown) - limit} more" if len(shown) > limit else ""
    return (", ".join(shown[:limit]) or "nothing") + more
