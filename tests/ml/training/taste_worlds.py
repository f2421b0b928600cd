"""A small world of two tastes as the tables of a day."""

import numpy as np
import pyarrow as pa

from ml.contracts.behaviour import ITEMS
from ml.contracts.meaning import ITEM_EMBEDDINGS, ITEM_INTERESTS, KNOWLEDGE_GRAPH, TEXT_INTERESTS
from ml.contracts.vectors import matrix_to_vectors
from ml.training.candidate import TrainingTables
from tests.ml.evaluation.interaction_rows import at, interactions

NUM_USERS, NUM_ITEMS, NUM_DAYS = 40, 24, 20
END = at(NUM_DAYS)


def two_tastes(seed: int = 3, *, num_users: int = NUM_USERS) -> TrainingTables:
    """Even users like even items, odd users odd ones; every item is as popular as its twin."""
    rng = np.random.default_rng(seed)
    rows = []
    for user in range(num_users):
        liked = rng.permutation(np.arange(user % 2, NUM_ITEMS, 2))[:9]
        days = np.sort(rng.uniform(0, NUM_DAYS - 0.01, len(liked)))
        rows += [(f"u{user:02}", f"i{item:02}", 1.0, float(day)) for item, day in zip(liked, days, strict=True)]
    ids = [f"i{item:02}" for item in range(NUM_ITEMS)]
    blank = {
        "day": END.date(),
        "text": None,
        "text_known_at": None,
        "category": None,
        "tags": [],
        "attributes": None,
        "created_at": None,
        "is_catalogued": True,
    }
    vectors = np.stack([np.eye(4)[item % 2] + 0.1 * rng.normal(size=4) for item in range(NUM_ITEMS)])
    return TrainingTables(
        interactions=interactions(rows),
        items=pa.Table.from_pylist([{"item_id": item, "title": item, **blank} for item in ids], schema=ITEMS.schema),
        item_embeddings=ITEM_EMBEDDINGS.conform(
            pa.table({"item_id": ids, "text_hash": ids, "space_id": ["s"] * NUM_ITEMS, "vector": matrix_to_vectors(vectors)})
        ),
        item_interests=ITEM_INTERESTS.conform(
            pa.table({"item_id": ids, "interest_id": [f"tag:{item % 2}" for item in range(NUM_ITEMS)], "weight": [1.0] * NUM_ITEMS})
        ),
        text_interests=TEXT_INTERESTS.empty(),
        knowledge_graph=KNOWLEDGE_GRAPH.empty(),
    )
