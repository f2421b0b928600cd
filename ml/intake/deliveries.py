"""Deliveries: which event each one is of, on which day it lies, and whether a newer one counts instead.

Decided here, where every file is known, so that no day depends on which other days
were built. An event is an (event_id, user_id): two users with one id are two events,
so that nobody's event depends on what another user's is called.
"""

import pyarrow as pa

from ml.ids import UserIdBorder
from ml.intake.landing import Landing

# Exact duplicates get one id; the parts are JSON, so that no two events share a text.
EVENT_ID = "coalesce(event_id, md5(json_array(user_id, item_id, event_type, epoch_us(event_at), value, text)::VARCHAR))"
EVENT_DAY = "CAST(event_at AT TIME ZONE 'UTC' AS DATE)"
# Of knowledge, the rows whose ends are users: `ml.knowledge.friends`.
IS_FRIENDSHIP = "lower(trim(relation)) = 'friend'"
NS_PER_SECOND = 1_000_000_000
# A file system may keep whole seconds only: finer differences would not outlive a copy. A remote file tells no time and counts as oldest.
NEWEST_FIRST = "coalesce(modified_at, 0) DESC, source_file DESC, source_row DESC, unit DESC"


def cross_border(landing: Landing, border: UserIdBorder) -> None:
    """Make `inside_users`: raw user id to inside id. The one place where raw ids come in."""
    tables = [f"SELECT user_id FROM {landing.good(name)}" for name in ("events", "users")]
    friends = [f"SELECT trim({end}) FROM {landing.good('knowledge')} WHERE {IS_FRIENDSHIP}" for end in ("head", "tail")]
    users = f"{' UNION '.join([*tables, *friends])} ORDER BY user_id"
    raw = [row[0] for row in landing.connection.execute(users).fetchall()]
    inside = {"raw_id": pa.array(raw, pa.string()), "inside_id": pa.array([border.inward(user) for user in raw], pa.string())}
    _keep(landing, "inside_users", pa.table(inside))


def deliver(landing: Landing) -> None:
    """Make `delivered_events`: every good event with its event_id, `partition_day` and `is_superseded`.

    Needs `inside_users`. Of all deliveries of an event the one in the newest file counts, then the last row in it.
    """
    _identify(landing)
    _resolve(landing)
    landing.connection.execute(
        "CREATE TEMP VIEW delivered_events AS SELECT identified_events.*, superseded.unit IS NOT NULL AS is_superseded"
        " FROM identified_events LEFT JOIN superseded USING (unit, source_file, source_row)"
    )


def _identify(landing: Landing) -> None:
    landing.connection.execute(
        f"CREATE TEMP VIEW identified_events AS WITH crossed AS (SELECT events.* REPLACE (inside_id AS user_id)"
        f" FROM {landing.good('events')} AS events JOIN inside_users ON raw_id = user_id)"
        f" SELECT * REPLACE ({EVENT_ID} AS event_id), greatest({EVENT_DAY}, DATE '{landing.dataset.start}') AS partition_day FROM crossed"
    )


def _resolve(landing: Landing) -> None:
    """Make `superseded`, from the few events that are there more than once."""
    times = [None if time is None else time // NS_PER_SECOND for time in landing.modified_ns.values()]
    names = pa.array(list(landing.modified_ns), pa.string())
    _keep(landing, "file_times", pa.table({"source_file": names, "modified_at": pa.array(times, pa.int64())}))
    # Grouping by a hash takes a fraction of the memory that the ids take; two ids of one hash cost a look, nothing else.
    landing.connection.execute(
        "CREATE TEMP TABLE repeated AS SELECT event_id, user_id, unit, source_file, source_row FROM identified_events"
        " SEMI JOIN (SELECT hash(event_id, user_id) AS id_hash FROM identified_events GROUP BY id_hash HAVING count(*) > 1)"
        " ON id_hash = hash(event_id, user_id)"
    )
    landing.connection.execute(
        "CREATE TEMP TABLE superseded AS SELECT unit, source_file, source_row FROM repeated LEFT JOIN file_times USING (source_file)"
        f" QUALIFY row_number() OVER (PARTITION BY event_id, user_id ORDER BY {NEWEST_FIRST}) > 1"
    )


def _keep(landing: Landing, name: str, table: pa.Table) -> None:
    landing.connection.register("arrow_rows", table)
    landing.connection.execute(f"CREATE TEMP TABLE {name} AS SELECT * FROM arrow_rows")
    landing.connection.unregister("arrow_rows")
