"""Contracts of the tables that hold what things mean: embeddings, interests, graph."""

from ml.contracts.contract import (
    BOOLEAN,
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

ITEM_EMBEDDINGS = TableContract(
    name="item_embeddings",
    layer="text",
    grain="snapshot",
    row="item known at the day's end",
    key=("item_id",),
    columns=(
        Column("item_id", STRING, "item"),
        Column("text_hash", STRING, "sha256 of the text that was encoded"),
        Column("space_id", STRING, "embedding space: model, revision, pooling, normalisation, dimension"),
        Column("vector", VECTOR, "unit vector, shape [D]"),
    ),
)

USER_TEXT_EMBEDDINGS = TableContract(
    name="user_text_embeddings",
    layer="text",
    grain="snapshot",
    row="user who has written something",
    key=("user_id",),
    columns=(
        Column("user_id", STRING, "inside user id"),
        Column("num_texts", INTEGER, "texts behind the vector"),
        Column("last_text_at", TIMESTAMP, "newest of them, UTC"),
        Column("space_id", STRING, "embedding space, the same as the items'"),
        Column("vector", VECTOR, "time-decayed mean of the texts' vectors, normalised, shape [D]"),
    ),
)

REVIEW_SIGNALS = TableContract(
    name="review_signals",
    layer="text",
    grain="snapshot",
    row="review known at the day's end",
    key=("event_id", "user_id"),
    columns=(
        Column("event_id", STRING, "event"),
        Column("user_id", STRING, "inside user id"),
        Column("item_id", STRING, "item reviewed"),
        Column("event_at", TIMESTAMP, "when, UTC"),
        Column("weight", FLOAT, "signed weight of the event"),
        Column("is_rated", BOOLEAN, "whether stars were given with it"),
        Column("sentiment", FLOAT, "calibrated: 2 x probability that it is good - 1; null: too few to learn from", nullable=True),
        Column("confidence", FLOAT, "probability that the sentiment's sign is right, in [0.5, 1]", nullable=True),
        Column("is_abstained", BOOLEAN, "true: no sentiment, or too unsure to be used"),
        Column("contradiction", FLOAT, "in [0, 1]: how surely the text says the opposite of the stars; 0 where either is missing"),
        Column("twin_at", TIMESTAMP, "when it first had a near-duplicate among known reviews, UTC; null: it has none", nullable=True),
        Column("reviewer_credibility", FLOAT, "in [0, 1], of `reviewer_signals`"),
        Column("credibility", FLOAT, "in [0, 1]: the reviewer's, halved by a full contradiction and by a twin"),
        Column("reasons", STRINGS, "what moved the sentiment most, strongest first: signed log-odds and word"),
    ),
)

REVIEWER_SIGNALS = TableContract(
    name="reviewer_signals",
    layer="text",
    grain="snapshot",
    row="user with an interaction",
    key=("user_id",),
    columns=(
        Column("user_id", STRING, "inside user id"),
        Column("num_items", INTEGER, "items they have an opinion on"),
        Column("num_reviews", INTEGER, "texts they wrote about items"),
        Column("credibility", FLOAT, "in [0, 1]: the product of the parts that follow"),
        Column("agreement", FLOAT, "in [0, 1]: ratings as others rate the same items"),
        Column("resemblance", FLOAT, "in [0, 1]: a choice of items like that of the users nearest to them"),
        Column("company", FLOAT, "in [0, 1]: likes and dislikes that are not shared by suspicious users alone"),
        Column("calm", FLOAT, "in [0, 1]: opinions outside bursts of equal ones on the same item"),
        Column("independence", FLOAT, "in [0, 1]: items not gone through together with another user"),
        Column("originality", FLOAT, "in [0, 1]: texts without near-duplicates"),
        Column("candour", FLOAT, "in [0, 1]: texts that say what their stars say"),
        Column("reasons", STRINGS, "parts below 0.9, lowest first"),
    ),
)

INTEREST_POINTS = TableContract(
    name="interest_points",
    layer="interests",
    grain="snapshot",
    row="interest point",
    key=("interest_id",),
    columns=(
        Column("interest_id", STRING, "stable id: kind and normalised name"),
        Column("name", STRING, "name shown to people"),
        Column("kind", STRING, "tag, category, keyphrase or theme (a semantic token)"),
        Column("parent_id", STRING, "interest it is a part of: of a theme or category level the one above; null: none", nullable=True),
        Column("aliases", STRINGS, "other names that mean the same, most frequent first"),
        Column("num_items", INTEGER, "items that carry it"),
        Column("specificity", FLOAT, "smoothed inverse document frequency, natural log"),
        Column("space_id", STRING, "embedding space of the vector"),
        Column("vector", VECTOR, "normalised weighted mean of its items' vectors, shape [D]"),
    ),
)

ITEM_INTERESTS = TableContract(
    name="item_interests",
    layer="interests",
    grain="snapshot",
    row="item, interest point",
    key=("item_id", "interest_id"),
    columns=(
        Column("item_id", STRING, "item"),
        Column("interest_id", STRING, "interest point"),
        Column("weight", FLOAT, "how much of the item it is, in (0, 1]; an item's weights have unit L2 norm"),
    ),
)

TEXT_INTERESTS = TableContract(
    name="text_interests",
    layer="interests",
    grain="snapshot",
    row="user's own text, interest point",
    key=("event_id", "user_id", "interest_id"),
    columns=(
        Column("event_id", STRING, "event that carries the words"),
        Column("user_id", STRING, "inside user id"),
        Column("item_id", STRING, "item written about; null for a search", nullable=True),
        Column("event_at", TIMESTAMP, "when, UTC"),
        Column("interest_id", STRING, "interest point"),
        Column(
            "weight", FLOAT, "in [-1, 1]: share of the text (unit L2 norm) x what the text says: 1 of a search, the sentiment of a review"
        ),
    ),
)

USER_INTERESTS = TableContract(
    name="user_interests",
    layer="interests",
    grain="snapshot",
    row="user, interest point",
    key=("user_id", "interest_id"),
    columns=(
        Column("user_id", STRING, "inside user id"),
        Column("interest_id", STRING, "interest point"),
        Column("weight", FLOAT, "in [-1, 1]; a user's strongest has magnitude 1; below 0: dislikes it"),
        Column("recent_weight", FLOAT, "in [-1, 1]; the same of the last days alone; 0: nothing to speak of"),
        Column("num_items", INTEGER, "items behind it, met or reviewed; 0: searches alone gave it"),
        Column("num_texts", INTEGER, "own texts behind it: searches and reviews"),
        Column("first_seen_at", TIMESTAMP, "first event behind it, UTC"),
        Column("last_seen_at", TIMESTAMP, "last event behind it, UTC"),
        Column("item_ids", STRINGS, "items that gave it, strongest first (a few)"),
        Column("item_weights", FLOATS, "their shares of the interest before scaling, same order"),
    ),
)

KNOWLEDGE_GRAPH = TableContract(
    name="knowledge_graph",
    layer="graph",
    grain="snapshot",
    row="triple",
    key=("head", "relation", "tail"),
    columns=(
        Column("head", STRING, "item id or entity id; inside user id of a friend"),
        Column("head_type", STRING, "item, entity, or user (relation friend)"),
        Column("relation", STRING, "snake_case relation name"),
        Column("tail", STRING, "item id or entity id; inside user id of a friend"),
        Column("tail_type", STRING, "item, entity, or user (relation friend)"),
        Column("tail_name", STRING, "name of the tail as shown to people"),
        Column("tail_kind", STRING, "item, user, the attribute a value is of, or the relation that most often leads to a given entity"),
        Column("source", STRING, "given (knowledge table), attribute (item attributes) or text (a name found in the item's text)"),
        Column("confidence", FLOAT, "in (0, 1]; 1 unless read from text"),
    ),
)

INTEREST_GRAPH = TableContract(
    name="interest_graph",
    layer="graph",
    grain="snapshot",
    row="typed edge",
    key=("source_type", "source_id", "relation", "target_type", "target_id"),
    columns=(
        Column("source_type", STRING, "user, item, interest or entity"),
        Column("source_id", STRING, "id within its type"),
        Column("relation", STRING, "interacted, disliked, has_interest, about, similar, within, friend, or a knowledge relation"),
        Column("target_type", STRING, "user, item, interest or entity"),
        Column("target_id", STRING, "id within its type"),
        Column("weight", FLOAT, "above 0; larger is closer"),
    ),
)

COMMUNITIES = TableContract(
    name="communities",
    layer="graph",
    grain="snapshot",
    row="community of the interest graph",
    key=("community_id",),
    columns=(
        Column("community_id", STRING, "its most central member, `type:id`: an item where it has one"),
        Column("name", STRING, "unique; the interests its items have more of than the rest"),
        Column("num_users", INTEGER, "users in it"),
        Column("num_items", INTEGER, "items in it"),
        Column("num_interests", INTEGER, "interest points in it"),
        Column("interest_ids", STRINGS, "interests that tell it from the rest, most over-represented first (a few)"),
        Column("interest_scores", FLOATS, "their log-odds inside against outside, in standard errors, same order"),
        Column("cohesion", FLOAT, "in [0, 1]: mean strength of its members"),
    ),
)

COMMUNITY_MEMBERS = TableContract(
    name="community_members",
    layer="graph",
    grain="snapshot",
    row="user, item or interest point in a community",
    key=("node_type", "node_id"),
    columns=(
        Column("node_type", STRING, "user, item or interest"),
        Column("node_id", STRING, "id within its type"),
        Column("community_id", STRING, "community"),
        Column("strength", FLOAT, "in [0, 1]: share of the node's edge weight that stays in the community"),
    ),
)

MEANING_TABLES = (
    ITEM_EMBEDDINGS,
    USER_TEXT_EMBEDDINGS,
    REVIEW_SIGNALS,
    REVIEWER_SIGNALS,
    INTEREST_POINTS,
    ITEM_INTERESTS,
    TEXT_INTERESTS,
    USER_INTERESTS,
    KNOWLEDGE_GRAPH,
    INTEREST_GRAPH,
    COMMUNITIES,
    COMMUNITY_MEMBERS,
)
