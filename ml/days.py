"""Days and their ends. A partition is a UTC day; its `as_of` is the day's end, exclusive."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta

SECONDS_PER_DAY = 86_400.0


def as_of(day: date) -> datetime:
    """The instant up to which partition `day` knows: midnight UTC that ends it."""
    return datetime.combine(day + timedelta(days=1), time(0), tzinfo=UTC)


def last_complete_day(now: datetime) -> date:
    """The day before `now` in UTC: today's events are still coming."""
    return now.astimezone(UTC).date() - timedelta(days=1)


def days_through(first: date, last: date) -> Iterator[date]:
    """Every day from `first` through `last`."""
    for offset in range((last - first).days + 1):
        yield first + timedelta(days=offset)
