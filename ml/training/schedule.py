"""Which days train from nothing, and which day the others start from.

Counted from the dataset's start, so that it is the same whatever was computed
before: a day's result must not depend on the order days were made in.
"""

from datetime import date, timedelta


def last_full_fit(day: date, *, start: date, every_days: int) -> date | None:
    """The day whose full fit `day` starts from; None where `day` is a full fit itself."""
    since = (day - start).days % every_days
    return day - timedelta(days=since) if since else None
