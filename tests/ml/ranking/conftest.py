"""Small graphs and tables from literal rows."""

from collections import defaultdict
from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa
import pytest

from ml.contracts.meaning import INTEREST_POINTS, ITEM_EMBEDDINGS, ITEM_INTERESTS, USER_INTERESTS, USER_TEXT_EMBEDDINGS
from ml.graph.interest_graph import NODE_TYPES, Edges, EdgeType, InterestGraph
from ml.ids import Vocabulary
from ml.ranking.names import Names

Edge = tuple[str, str, str] | tuple[str, str, str, float]


def _graph(edges: Sequence[Edge], *, nodes: Sequence[str] = ()) -> InterestGraph:
    """Edges as ("user:u1", "interacted", "item:i1", weight); weight 1 where left out."""
    labels = [*nodes, *(edge[0] for edge in edges), *(edge[2] for edge in edges)]
    ids = defaultdict(list)
    for label in labels:
        node_type, _, identifier = label.partition(":")
        ids[node_type].append(identifier)
    vocabularies = {node_type: Vocabulary(node_type, ids[node_type]) for node_type in NODE_TYPES}
    grouped = defaultdict(list)
    for edge in edges:
        (source_type, _, source), relation, (target_type, _, target) = edge[0].partition(":"), edge[1], edge[2].partition(":")
        grouped[EdgeType(source_type, relation, target_type)].append((source, target, edge[3] if len(edge) > 3 else 1.0))
    return InterestGraph(
        vocabularies,
        {
            known: Edges(
                vocabularies[known.source].positions([row[0] for row in rows]),
                vocabularies[known.target].positions([row[1] for row in rows]),
                np.array([row[2] for row in rows], dtype=np.float32),
            )
            for known, rows in grouped.items()
        },
    )


@pytest.fixture(scope="session")
def make_graph() -> Callable[..., InterestGraph]:
    return _graph


def _pairs(kind: str, **names: str) -> pa.Table:
    columns = {"item": ("item_id", "title"), "interest": ("interest_id", "name"), "entity": ("tail", "tail_name")}[kind]
    return pa.table({columns[0]: pa.array(list(names), pa.string()), columns[1]: pa.array(list(names.values()), pa.string())})


@pytest.fixture(scope="session")
def make_names() -> Callable[..., Names]:
    def make(*, item: dict[str, str] | None = None, interest: dict[str, str] | None = None, entity: dict[str, str] | None = None) -> Names:
        knowledge = _pairs("entity", **(entity or {}))
        return Names.from_tables(
            items=_pairs("item", **(item or {})),
            interest_points=_pairs("interest", **(interest or {})),
            knowledge_graph=knowledge.append_column("tail_type", pa.repeat(pa.scalar("entity"), knowledge.num_rows)),
        )

    return make


class Tables:
    """Contract tables with the columns that ranking reads, the others filled with something valid."""

    @staticmethod
    def item_embeddings(vectors: dict[str, list[float]], *, space: str = "s") -> pa.Table:
        rows = [{"item_id": item, "text_hash": "h", "space_id": space, "vector": vector} for item, vector in vectors.items()]
        return pa.Table.from_pylist(rows, schema=ITEM_EMBEDDINGS.schema)

    @staticmethod
    def user_text_embeddings(vectors: dict[str, list[float]], *, space: str = "s") -> pa.Table:
        rows = [
            {"user_id": user, "num_texts": 1, "last_text_at": 0, "space_id": space, "vector": vector} for user, vector in vectors.items()
        ]
        return pa.Table.from_pylist(rows, schema=USER_TEXT_EMBEDDINGS.schema)

    @staticmethod
    def item_interests(rows: Sequence[tuple[str, str, float]]) -> pa.Table:
        named = [{"item_id": item, "interest_id": interest, "weight": weight} for item, interest, weight in rows]
        return pa.Table.from_pylist(named, schema=ITEM_INTERESTS.schema)

    @staticmethod
    def user_interests(rows: Sequence[tuple]) -> pa.Table:
        """Rows of (user, interest, weight, item ids)."""
        named = [
            {
                "user_id": row[0],
                "interest_id": row[1],
                "weight": row[2],
                "recent_weight": row[2],
                "num_items": 1,
                "num_texts": 0,
                "first_seen_at": 0,
                "last_seen_at": 0,
                "item_ids": list(row[3]) if len(row) > 3 else [],
                "item_weights": [1.0] * len(row[3]) if len(row) > 3 else [],
            }
            for row in rows
        ]
        return pa.Table.from_pylist(named, schema=USER_INTERESTS.schema)

    @staticmethod
    def interest_points(names: dict[str, str], *, vectors: dict[str, list[float]] | None = None, space: str = "s") -> pa.Table:
        rows = [
            {
                "interest_id": interest,
                "name": name,
                "kind": "tag",
                "aliases": [],
                "num_items": 2,
                "specificity": 1.0,
                "space_id": space,
                "vector": (vectors or {}).get(interest, [1.0, 0.0]),
            }
            for interest, name in names.items()
        ]
        return pa.Table.from_pylist(rows, schema=INTEREST_POINTS.schema)

    @staticmethod
    def pairs(*rows: tuple[str, str]) -> pa.Table:
        return pa.table(
            {"user_id": pa.array([row[0] for row in rows], pa.string()), "item_id": pa.array([row[1] for row in rows], pa.string())}
        )


@pytest.fixture(scope="session")
def tables() -> type[Tables]:
    return Tables
