"""Small catalogues and behaviours as contract tables, for the tests of interests, knowledge and graph."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pyarrow as pa

from ml.contracts.behaviour import INTERACTIONS, ITEMS, RAW_KNOWLEDGE
from ml.contracts.meaning import INTEREST_POINTS, ITEM_EMBEDDINGS, ITEM_INTERESTS, TEXT_INTERESTS
from ml.contracts.vectors import matrix_to_vectors

AS_OF = datetime(2026, 3, 1, tzinfo=UTC)
SPACE = "space-a"


def make_items(rows: Sequence[Mapping[str, object]]) -> pa.Table:
    """Items of the given fields; an item says nothing but its title unless told to."""
    filled = [
        {
            "day": date(2026, 2, 28),
            "title": str(row["item_id"]),
            "text": None,
            "text_known_at": None,
            "category": None,
            "tags": [],
            "attributes": None,
            "created_at": None,
            "is_catalogued": True,
            **row,
        }
        for row in rows
    ]
    return pa.Table.from_pylist(filled, schema=ITEMS.schema)


def tagged(tags: Mapping[str, Sequence[str]]) -> pa.Table:
    """Items that have tags only: titles are their ids, and not from a catalogue."""
    return make_items([{"item_id": item, "tags": list(given), "is_catalogued": False} for item, given in tags.items()])


def embed(items: pa.Table, *, vectors_ID: np.ndarray | None = None, space: str = SPACE) -> pa.Table:
    """Embeddings of the items in table order; random unit vectors unless given."""
    if vectors_ID is None:
        vectors_ID = np.random.default_rng(0).normal(size=(items.num_rows, 16))
    vectors_ID = vectors_ID / np.maximum(np.linalg.norm(vectors_ID, axis=1, keepdims=True), 1e-12)
    columns = {
        "item_id": items.column("item_id"),
        "text_hash": items.column("item_id"),
        "space_id": pa.repeat(pa.scalar(space), items.num_rows),
        "vector": matrix_to_vectors(vectors_ID),
    }
    return pa.table(columns).cast(ITEM_EMBEDDINGS.schema)


def make_interactions(rows: Sequence[tuple[str, str, float, float]]) -> pa.Table:
    """(user, item, weight, days before `AS_OF`) as interactions of one event each; several of one day stay several rows."""
    at = [AS_OF - timedelta(days=age) for *_, age in rows]
    columns = {
        "day": [instant.date() for instant in at],
        "user_id": [row[0] for row in rows],
        "item_id": [row[1] for row in rows],
        "weight": [float(row[2]) for row in rows],
        "num_events": [1] * len(rows),
        "first_event_at": at,
        "last_event_at": at,
    }
    return pa.table(columns, schema=INTERACTIONS.schema)


def make_item_interests(rows: Sequence[tuple[str, str, float]]) -> pa.Table:
    """(item, interest, weight) as item interests."""
    item, interest, weight = ([row[position] for row in rows] for position in range(3))
    return pa.table({"item_id": item, "interest_id": interest, "weight": weight}, schema=ITEM_INTERESTS.schema)


def make_text_interests(rows: Sequence[tuple[str, str | None, str, float, float]]) -> pa.Table:
    """(user, item or None, interest, weight, days before `AS_OF`) as texts of one interest each."""
    columns = {
        "event_id": [f"e{number:03}" for number in range(len(rows))],
        "user_id": [row[0] for row in rows],
        "item_id": [row[1] for row in rows],
        "event_at": [AS_OF - timedelta(days=row[4]) for row in rows],
        "interest_id": [row[2] for row in rows],
        "weight": [float(row[3]) for row in rows],
    }
    return pa.table(columns, schema=TEXT_INTERESTS.schema)


def make_points(rows: Sequence[Mapping[str, object]]) -> pa.Table:
    """Interest points of the given ids; tags named as the id says, in a space of four dimensions, unless told otherwise."""
    filled = [
        {
            "name": str(row["interest_id"]).partition(":")[2],
            "kind": str(row["interest_id"]).partition(":")[0],
            "parent_id": None,
            "aliases": [],
            "num_items": 3,
            "specificity": 1.0,
            "space_id": SPACE,
            "vector": [0.0, 0.0, 0.0, 1.0],
            **row,
        }
        for row in rows
    ]
    return pa.Table.from_pylist(filled, schema=INTEREST_POINTS.schema)


def make_knowledge(triples: Sequence[tuple[str, str, str]]) -> pa.Table:
    """(head, relation, tail) as given triples."""
    rows = [
        {"head": head, "relation": relation, "tail": tail, "source_file": "kg.csv", "source_row": number}
        for number, (head, relation, tail) in enumerate(triples, 1)
    ]
    return pa.Table.from_pylist(rows, schema=RAW_KNOWLEDGE.schema)


def shuffled(table: pa.Table, *, seed: int) -> pa.Table:
    """The same rows in another order."""
    return table.take(pa.array(np.random.default_rng(seed).permutation(table.num_rows), pa.int64()))
