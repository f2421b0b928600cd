"""Which days begin anew (a full fit, a fine-tuning), and which day the others start from.

Counted from the dataset's start, so that it is the same whatever was computed
before: a day's result must not depend on the order days were made in.
"""

from datetime import date, timedelta


def last_of_every(every_days: int, *, day: date, start: date) -> date | None:
    """The last of every `every_days` days before `day`; None where `day` is one of them itself."""
    since = (day - start).days % every_days
    return day - timedelta(days=since) if since else None
