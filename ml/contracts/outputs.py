"""Contracts of what leaves the house: evaluation, recommendations, features, drift."""

from ml.contracts.contract import (
    BOOLEAN,
    DAY,
    FLOAT,
    FLOATS,
    INTEGER,
    STRING,
    STRINGS,
    TIMESTAMP,
    VECTOR,
    Column,
    TableContract,
)

EVALUATION = TableContract(
    name="evaluation",
    layer="output",
    grain="snapshot",
    row="model, segment, metric",
    key=("model", "segment", "metric"),
    columns=(
        Column("model", STRING, "recommender name"),
        Column("segment", STRING, "all, warm_users, cold_users, cold_items, head_items, tail_items"),
        Column("metric", STRING, "ndcg@10, recall@20, coverage@10, ..."),
        Column("value", FLOAT, "mean over users, or the catalogue's figure"),
        Column("ci_low", FLOAT, "lower end of the bootstrap interval", nullable=True),
        Column("ci_high", FLOAT, "upper end of the bootstrap interval", nullable=True),
        Column("num_users", INTEGER, "users behind it"),
    ),
)

MODEL_COMPARISONS = TableContract(
    name="model_comparisons",
    layer="output",
    grain="snapshot",
    row="metric of our model minus a baseline's, paired by user",
    key=("model", "baseline", "metric"),
    columns=(
        Column("model", STRING, "our model"),
        Column("baseline", STRING, "what it is compared with"),
        Column("metric", STRING, "ndcg@10, ..."),
        Column("difference", FLOAT, "mean paired difference, above 0: ours is better"),
        Column("ci_low", FLOAT, "lower end of the paired bootstrap interval"),
        Column("ci_high", FLOAT, "upper end of the paired bootstrap interval"),
        Column("num_users", INTEGER, "users behind it"),
    ),
)

RELEASE_DECISIONS = TableContract(
    name="release_decisions",
    layer="output",
    grain="snapshot",
    row="day: what the gate said of its candidate",
    key=(),
    columns=(
        Column("candidate_release_id", STRING, "release made of the day's candidate; null: too little history for one", nullable=True),
        Column("has_passed", BOOLEAN, "whether the gate let it through"),
        Column("last_full_fit", DAY, "day of the full fit it started from; null: it is a full fit itself", nullable=True),
        Column("reason", STRING, "why, in a sentence"),
        Column(
            "release_id",
            STRING,
            "release behind the day's outputs: its own, or the last full fit's; null: neither passed",
            nullable=True,
        ),
    ),
)

RECOMMENDATIONS = TableContract(
    name="recommendations",
    layer="output",
    grain="snapshot",
    row="user, rank",
    key=("user_id", "rank"),
    columns=(
        Column("user_id", STRING, "inside user id"),
        Column("rank", INTEGER, "1 is best"),
        Column("item_id", STRING, "item"),
        Column("score", FLOAT, "model score, comparable within a user only"),
        Column("rung", STRING, "what answered: personal, interest or popular"),
        Column("reason", STRING, "why, in words"),
        Column("path", STRINGS, "the graph path behind the reason: node, relation, node, ...; empty for popular"),
        Column("release_id", STRING, "release that scored it"),
    ),
)

SIMILAR_ITEMS = TableContract(
    name="similar_items",
    layer="output",
    grain="snapshot",
    row="item, rank",
    key=("item_id", "rank"),
    columns=(
        Column("item_id", STRING, "item"),
        Column("rank", INTEGER, "1 is closest"),
        Column("similar_item_id", STRING, "neighbour"),
        Column("score", FLOAT, "cosine in the release's item space, in [-1, 1]"),
        Column("release_id", STRING, "release whose vectors were compared"),
    ),
)

SIMILAR_USERS = TableContract(
    name="similar_users",
    layer="output",
    grain="snapshot",
    row="user, rank",
    key=("user_id", "rank"),
    columns=(
        Column("user_id", STRING, "inside user id"),
        Column("rank", INTEGER, "1 is closest"),
        Column("similar_user_id", STRING, "person of like interests"),
        Column("score", FLOAT, "cosine of the interest weights, in [-1, 1]"),
        Column("shared_interests", STRINGS, "names of the interests that make them alike, strongest first"),
        Column("release_id", STRING, "release in force"),
    ),
)

USER_PROFILES = TableContract(
    name="user_profiles",
    layer="features",
    grain="snapshot",
    row="user",
    key=("user_id",),
    columns=(
        Column("user_id", STRING, "inside user id"),
        Column("event_timestamp", TIMESTAMP, "as_of: the day's end, UTC"),
        Column("created_timestamp", TIMESTAMP, "as_of again: a partition is rewritten whole, and a re-run gives the same bytes"),
        Column("release_id", STRING, "release in force"),
        Column("interest_names", STRINGS, "named interests, strongest first"),
        Column("interest_weights", FLOATS, "their weights in (0, 1], same order"),
        Column("recent_interest_names", STRINGS, "named interests of the last days, strongest first"),
        Column("recent_interest_weights", FLOATS, "their recent weights in (0, 1], same order"),
        Column("disliked_names", STRINGS, "named negative interests, strongest first"),
        Column("num_interactions", INTEGER, "user-item-days in all history"),
        Column("num_interactions_28d", INTEGER, "user-item-days in the last 28 days"),
        Column("num_sessions_28d", INTEGER, "sessions in the last 28 days"),
        Column("days_since_last_event", INTEGER, "whole days from the last event to as_of"),
        Column("is_cold_start", BOOLEAN, "true: fewer positive interactions than the release trains on"),
        Column("embedding", VECTOR, "the release's user vector, empty where it has none, shape [D]"),
    ),
)

ITEM_FEATURES = TableContract(
    name="item_features",
    layer="features",
    grain="snapshot",
    row="item",
    key=("item_id",),
    columns=(
        Column("item_id", STRING, "item"),
        Column("event_timestamp", TIMESTAMP, "as_of: the day's end, UTC"),
        Column("created_timestamp", TIMESTAMP, "as_of again: a partition is rewritten whole, and a re-run gives the same bytes"),
        Column("release_id", STRING, "release in force"),
        Column("title", STRING, "name shown to people"),
        Column("category", STRING, "category, empty where none"),
        Column("interest_names", STRINGS, "named interests, strongest first"),
        Column("interest_weights", FLOATS, "their weights in (0, 1], same order"),
        Column("num_users_28d", INTEGER, "user-days in the last 28 days"),
        Column("total_weight_28d", FLOAT, "signed weight in the last 28 days"),
        Column("popularity_rank", INTEGER, "1 is the most popular of the last 28 days"),
        Column("embedding", VECTOR, "the release's item vector, shape [D]"),
        Column("similar_item_ids", STRINGS, "nearest items, closest first"),
    ),
)

RECOMMENDATION_LISTS = TableContract(
    name="recommendation_lists",
    layer="features",
    grain="snapshot",
    row="user",
    key=("user_id",),
    columns=(
        Column("user_id", STRING, "inside user id"),
        Column("event_timestamp", TIMESTAMP, "as_of: the day's end, UTC"),
        Column("created_timestamp", TIMESTAMP, "as_of again: a partition is rewritten whole, and a re-run gives the same bytes"),
        Column("release_id", STRING, "release that scored it"),
        Column("item_ids", STRINGS, "recommended items, best first"),
        Column("titles", STRINGS, "their titles, same order"),
        Column("scores", FLOATS, "their scores, same order"),
        Column("reasons", STRINGS, "why, in words, same order"),
    ),
)

DRIFT = TableContract(
    name="drift",
    layer="monitoring",
    grain="snapshot",
    row="compared column",
    key=("dataset", "column_name"),
    columns=(
        Column("dataset", STRING, "what was compared: behaviour, interests or embeddings"),
        Column("column_name", STRING, "column"),
        Column("method", STRING, "distance used, or why the column was not compared"),
        Column("score", FLOAT, "its value; null where not compared", nullable=True),
        Column("threshold", FLOAT, "from it on the column has drifted; null where not compared", nullable=True),
        Column("has_drifted", BOOLEAN, "whether it has"),
        Column("num_reference", INTEGER, "rows of the reference window (after sampling)"),
        Column("num_current", INTEGER, "rows of the current window (after sampling)"),
    ),
)

RECONCILIATION = TableContract(
    name="reconciliation",
    layer="monitoring",
    grain="snapshot",
    row="day with events in the landing files or in the tables",
    key=("day",),
    columns=(
        Column("day", DAY, "UTC day"),
        Column("num_landed", INTEGER, "good events of that day in the landing files, every delivery"),
        Column("num_superseded", INTEGER, "those of them that a newer delivery of the same event replaces"),
        Column("num_raw", INTEGER, "rows of raw_events; null: the day was never built", nullable=True),
        Column("num_in_marts", INTEGER, "events that the marts count; null: the day was never built", nullable=True),
        Column("state", STRING, "as landed, changed since built, not built, or marts differ"),
    ),
)

OUTPUT_TABLES = (EVALUATION, MODEL_COMPARISONS, RELEASE_DECISIONS, RECOMMENDATIONS, SIMILAR_ITEMS, SIMILAR_USERS)
FEATURE_TABLES = (USER_PROFILES, ITEM_FEATURES, RECOMMENDATION_LISTS)
MONITORING_TABLES = (DRIFT,)
