"""What is odd about a dataset although every row holds: read it before trusting results."""

from collections.abc import Iterator
from datetime import UTC, datetime

from ml.errors import Finding
from ml.intake.deliveries import EVENT_ID
from ml.intake.landing import Landing
from ml.intake.session import literal

MAX_UNCATALOGUED_SHARE = 0.05
MAX_EMPTY_DAYS = 31


def hints(landing: Landing, *, first: datetime | None, last: datetime | None) -> Iterator[Finding]:
    """Hints about the calendar, the weights, duplicates and the catalogue; `first` and `last` are event times."""
    if first is None or last is None:
        yield Finding("tables.events", "no event keeps the contract", "see the findings; without events there is nothing to learn from")
        return
    yield from _calendar(landing, first.astimezone(UTC), last.astimezone(UTC))
    yield from _unused_weights(landing)
    yield from _duplicates(landing)
    yield from _shared_ids(landing)
    yield from _uncatalogued(landing)


def _calendar(landing: Landing, first: datetime, last: datetime) -> Iterator[Finding]:
    start = landing.dataset.start
    where = f"{landing.dataset.path.name} start"
    if start > last.date():
        mend = f"set it to {last.date()} or earlier"
        yield Finding(where, f"{start} is after the last event ({last.date()}); every event falls into the first partition", mend)
    elif (first.date() - start).days > MAX_EMPTY_DAYS:
        yield Finding(
            where, f"{start} is {(first.date() - start).days} days before the first event ({first.date()})", f"set it to {first.date()}"
        )


def _unused_weights(landing: Landing) -> Iterator[Finding]:
    found = {row[0] for row in landing.connection.execute(f"SELECT DISTINCT event_type FROM {landing.good('events')}").fetchall()}
    for event_type in landing.dataset.weights:
        if event_type not in found:
            yield Finding(f"{landing.dataset.path.name} weights.{event_type}", "no event has this type", "check its spelling, or drop it")


def _duplicates(landing: Landing) -> Iterator[Finding]:
    total, distinct = landing.connection.execute(
        f"SELECT count(*), count(DISTINCT (id, user_id)) FROM (SELECT {EVENT_ID} AS id, user_id FROM {landing.good('events')})"
    ).fetchall()[0]
    if total > distinct:
        what = f"{total - distinct:,} of {total:,} events are duplicates of another and count once"
        yield Finding("tables.events", what, "map event_id if equal events are meant as several")


def _shared_ids(landing: Landing) -> Iterator[Finding]:
    shared = (
        f"(SELECT event_id, count(DISTINCT user_id) AS num_users FROM {landing.good('events')}"
        " WHERE event_id IS NOT NULL GROUP BY event_id HAVING min(user_id) <> max(user_id))"
    )
    if total := landing.count(shared):
        examples = landing.connection.execute(f"SELECT event_id FROM {shared} ORDER BY num_users DESC, event_id LIMIT 3").fetchall()
        what = (
            f"{total:,} event_id(s) are given to more than one user, e.g. {', '.join(literal(row[0]) for row in examples)};"
            " they count as different events, not as corrections"
        )
        yield Finding("tables.events event_id", what, "give ids that are unique in the dataset, or leave event_id out of the mapping")


def _uncatalogued(landing: Landing) -> Iterator[Finding]:
    if not landing.dataset.tables.items:
        return
    acted = f"(SELECT item_id, count(*) AS num_events FROM {landing.good('events')} WHERE item_id IS NOT NULL GROUP BY item_id)"
    unknown = f"{acted} AS acted ANTI JOIN {landing.good('items')} AS items USING (item_id)"
    total, num_unknown = landing.count(acted), landing.count(unknown)
    if total and num_unknown / total > MAX_UNCATALOGUED_SHARE:
        examples = landing.connection.execute(f"SELECT item_id FROM {unknown} ORDER BY num_events DESC, item_id LIMIT 3").fetchall()
        known = landing.connection.execute(f"SELECT min(item_id) FROM {landing.good('items')}").fetchall()[0][0]
        what = (
            f"{num_unknown:,} of {total:,} items acted upon are not in the catalogue, e.g. {', '.join(literal(row[0]) for row in examples)}"
        )
        yield Finding("tables.items", what, f"check that both sides map the same id; an id of the catalogue: {literal(known)}")
