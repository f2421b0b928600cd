"""Contracts of the tables that hold what happened: raw and marts.

Raw tables are written by `ml.intake`, marts by the dbt project `transforms`.
"""

from ml.contracts.contract import (
    BOOLEAN,
    DAY,
    FLOAT,
    INTEGER,
    STRING,
    STRINGS,
    TIMESTAMP,
    Column,
    TableContract,
)

RAW_EVENTS = TableContract(
    name="raw_events",
    layer="raw",
    grain="daily",
    row="one event as it was delivered, duplicates included",
    key=(),
    columns=(
        Column("event_id", STRING, "given id, or a hash of the event's own fields; an event is this and its user"),
        Column("user_id", STRING, "inside user id"),
        Column("item_id", STRING, "item acted upon; null for events on text alone (a search)", nullable=True),
        Column("event_type", STRING, "a key of the dataset's weights"),
        Column("event_at", TIMESTAMP, "when it happened, UTC"),
        Column("value", FLOAT, "the event's number (a rating, a quantity)", nullable=True),
        Column("text", STRING, "the user's own words (a review, a search)", nullable=True),
        Column("session_id", STRING, "given session", nullable=True),
        Column("source_file", STRING, "file it came from, relative to the dataset file"),
        Column("source_row", INTEGER, "1-based row in that file"),
        Column("is_superseded", BOOLEAN, "true: a newer delivery of this event_id counts instead, on this day or another"),
    ),
)

RAW_ITEMS = TableContract(
    name="raw_items",
    layer="raw",
    grain="snapshot",
    row="one item version known at the day's end",
    key=(),
    columns=(
        Column("item_id", STRING, "item"),
        Column("title", STRING, "name shown to people"),
        Column("text", STRING, "description", nullable=True),
        Column("category", STRING, "category, levels joined by ' > '", nullable=True),
        Column("tags", STRINGS, "free tags"),
        Column("attributes", STRING, "JSON object: attribute to value or list of values", nullable=True),
        Column("image", STRING, "path or address of a picture", nullable=True),
        Column("created_at", TIMESTAMP, "when this version appeared, UTC; null: always known", nullable=True),
        Column("source_file", STRING, "file it came from, relative to the dataset file"),
        Column("source_row", INTEGER, "1-based row in that file"),
    ),
)

RAW_USERS = TableContract(
    name="raw_users",
    layer="raw",
    grain="snapshot",
    row="one user record known at the day's end",
    key=(),
    columns=(
        Column("user_id", STRING, "inside user id"),
        Column("attributes", STRING, "JSON object: attribute to value or list of values", nullable=True),
        Column("source_file", STRING, "file it came from, relative to the dataset file"),
        Column("source_row", INTEGER, "1-based row in that file"),
    ),
)

RAW_KNOWLEDGE = TableContract(
    name="raw_knowledge",
    layer="raw",
    grain="snapshot",
    row="one given triple",
    key=(),
    columns=(
        Column("head", STRING, "item id or entity name"),
        Column("relation", STRING, "relation name"),
        Column("tail", STRING, "item id or entity name"),
        Column("source_file", STRING, "file it came from, relative to the dataset file"),
        Column("source_row", INTEGER, "1-based row in that file"),
    ),
)

QUARANTINED_ROWS = TableContract(
    name="quarantined_rows",
    layer="raw",
    grain="snapshot",
    row="one (row, reason) kept out of the raw tables so far",
    key=(),
    columns=(
        Column("table_name", STRING, "contract table the row was meant for: events, items, users, knowledge"),
        Column("source_file", STRING, "file it came from, relative to the dataset file"),
        Column("source_row", INTEGER, "1-based row in that file"),
        Column("column_name", STRING, "column that breaks the contract; line: the whole row, where: the source's condition"),
        Column("reason", STRING, "what is wrong with it"),
        Column("mend", STRING, "how to mend it"),
        Column("row_json", STRING, "the row as its file has it, as JSON, so that nothing is lost"),
    ),
)

INTERACTIONS = TableContract(
    name="interactions",
    layer="mart",
    grain="daily",
    row="user, item, day",
    key=("user_id", "item_id", "day"),
    columns=(
        Column("day", DAY, "UTC day"),
        Column("user_id", STRING, "inside user id"),
        Column("item_id", STRING, "item"),
        Column("weight", FLOAT, "sum of the signed weights of that day's events; below 0: disliked"),
        Column("num_events", INTEGER, "events behind it"),
        Column("first_event_at", TIMESTAMP, "first of them, UTC"),
        Column("last_event_at", TIMESTAMP, "last of them, UTC"),
    ),
)

ITEMS = TableContract(
    name="items",
    layer="mart",
    grain="snapshot",
    row="item known at the day's end",
    key=("item_id",),
    columns=(
        Column("day", DAY, "UTC day of the snapshot"),
        Column("item_id", STRING, "item"),
        Column("title", STRING, "name shown to people; the id where no catalogue row exists"),
        Column("text", STRING, "description; where none is given, the first words users wrote about it", nullable=True),
        Column(
            "text_known_at",
            TIMESTAMP,
            "when the newest of those words were written, UTC; null: the description is given, or there is none",
            nullable=True,
        ),
        Column("category", STRING, "category, levels joined by ' > '", nullable=True),
        Column("tags", STRINGS, "free tags"),
        Column("attributes", STRING, "JSON object: attribute to value or list of values", nullable=True),
        Column("created_at", TIMESTAMP, "when it appeared, UTC; null: always known", nullable=True),
        Column("is_catalogued", BOOLEAN, "false: known from events only"),
    ),
)

USER_ACTIVITY_DAILY = TableContract(
    name="user_activity_daily",
    layer="mart",
    grain="daily",
    row="user, day",
    key=("user_id", "day"),
    columns=(
        Column("day", DAY, "UTC day"),
        Column("user_id", STRING, "inside user id"),
        Column("num_events", INTEGER, "events"),
        Column("num_items", INTEGER, "distinct items"),
        Column("num_sessions", INTEGER, "sessions (30 minutes of silence end one)"),
        Column("num_positive", INTEGER, "events of positive weight"),
        Column("num_negative", INTEGER, "events of negative weight"),
        Column("total_weight", FLOAT, "sum of signed weights"),
        Column("last_event_at", TIMESTAMP, "last event, UTC"),
    ),
)

ITEM_POPULARITY_DAILY = TableContract(
    name="item_popularity_daily",
    layer="mart",
    grain="daily",
    row="item, day",
    key=("item_id", "day"),
    columns=(
        Column("day", DAY, "UTC day"),
        Column("item_id", STRING, "item"),
        Column("num_events", INTEGER, "events"),
        Column("num_users", INTEGER, "distinct users"),
        Column("num_positive", INTEGER, "events of positive weight"),
        Column("total_weight", FLOAT, "sum of signed weights"),
    ),
)

USER_TEXTS = TableContract(
    name="user_texts",
    layer="mart",
    grain="daily",
    row="event that carries the user's own words",
    key=("event_id", "user_id"),
    columns=(
        Column("day", DAY, "UTC day"),
        Column("event_id", STRING, "event"),
        Column("user_id", STRING, "inside user id"),
        Column("item_id", STRING, "item written about; null for a search", nullable=True),
        Column("event_type", STRING, "kind of event"),
        Column("text", STRING, "the words"),
        Column("event_at", TIMESTAMP, "when, UTC"),
    ),
)

REVIEWS = TableContract(
    name="reviews",
    layer="mart",
    grain="daily",
    row="text about an item, with its rating where one was given",
    key=("event_id", "user_id"),
    columns=(
        Column("day", DAY, "UTC day"),
        Column("event_id", STRING, "event"),
        Column("user_id", STRING, "inside user id"),
        Column("item_id", STRING, "item reviewed"),
        Column("text", STRING, "review text"),
        Column("value", FLOAT, "rating given with it, on the dataset's own scale", nullable=True),
        Column("weight", FLOAT, "signed weight of the event"),
        Column("event_at", TIMESTAMP, "when, UTC"),
    ),
)

RAW_TABLES = (RAW_EVENTS, RAW_ITEMS, RAW_USERS, RAW_KNOWLEDGE, QUARANTINED_ROWS)
MART_TABLES = (INTERACTIONS, ITEMS, USER_ACTIVITY_DAILY, ITEM_POPULARITY_DAILY, USER_TEXTS, REVIEWS)
