"""Answers about one user or item from the tables of a day, for the command line and the run report.

Reads Parquet only. Online look-ups go through Feast and are not here.
"""

from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ml.contracts import CONTRACTS
from ml.errors import MissingTableError, UnknownIdError
from ml.ranking.lexical import WordIndex
from ml.ranking.names import Names
from ml.ranking.query import Knowledge, answer_query
from orchestration.encoders import encoder_of_day
from orchestration.scope import Scope


def newest_partition(scope: Scope, table: str) -> date:
    """The newest written day of a table; raises `MissingTableError` if there is none."""
    days = scope.store.days(table)
    if not days:
        raise MissingTableError(table, "of any day")
    return days[-1]


def read_table(scope: Scope, table: str, *, day: date | None) -> pa.Table:
    """A table's partition of a day, or its newest."""
    return scope.store.read(CONTRACTS[table], day=day or newest_partition(scope, table))


def titles(scope: Scope, *, day: date | None) -> dict[str, str]:
    """Title by item id."""
    items = read_table(scope, "items", day=day)
    return dict(zip(items.column("item_id").to_pylist(), items.column("title").to_pylist(), strict=True))


def profile(scope: Scope, user_id: str, *, day: date | None) -> dict[str, Any]:
    """A user's profile as published, without the vector."""
    row = _row(read_table(scope, "user_profiles", day=day), "user_id", scope.border.inward(user_id))
    return {name: value for name, value in row.items() if name != "embedding"} | {"user_id": user_id}


def recommendations(scope: Scope, user_id: str, *, k: int, day: date | None) -> list[dict[str, Any]]:
    """A user's list, empty where nothing is left to recommend; somebody unknown gets what is popular, never an error."""
    table = read_table(scope, "recommendations", day=day)
    found = table.filter(pc.equal(table.column("user_id"), scope.border.inward(user_id)))
    if not found.num_rows:
        known = read_table(scope, "user_profiles", day=day).column("user_id")
        is_known = pc.index(known, scope.border.inward(user_id)).as_py() >= 0
        return [] if is_known else popular_items(scope, k=k, day=day)
    names = titles(scope, day=day)
    return [
        {
            "rank": row["rank"],
            "item_id": row["item_id"],
            "title": names[row["item_id"]],
            "score": row["score"],
            "rung": row["rung"],
            "reason": row["reason"],
        }
        for row in found.sort_by("rank").slice(0, k).to_pylist()
    ]


def popular_items(scope: Scope, *, k: int, day: date | None) -> list[dict[str, Any]]:
    """The last rung of the ladder: what most people liked in the last 28 days."""
    features = read_table(scope, "item_features", day=day).sort_by("popularity_rank")
    features = features.filter(pc.greater(features.column("total_weight_28d"), 0.0)).slice(0, k)
    reason = "近 28 天受欢迎" if scope.dataset.language == "zh" else "popular in the last 28 days"
    return [
        {
            "rank": row["popularity_rank"],
            "item_id": row["item_id"],
            "title": row["title"],
            "score": row["total_weight_28d"],
            "rung": "popular",
            "reason": reason,
        }
        for row in features.to_pylist()
    ]


def query_answers(scope: Scope, query: str, *, k: int, day: date | None) -> list[dict[str, Any]]:
    """Items near to a text in meaning or words, or joined by the graph to what it names, each with the interest points that match."""
    day = day or newest_partition(scope, "item_embeddings")
    encoder, question = encoder_of_day(scope, day), scope.config.question
    embeddings, points, items = (read_table(scope, name, day=day) for name in ("item_embeddings", "interest_points", "items"))
    ranked = answer_query(
        encoder.encode([query], kind="query").vectors_ND[0],
        space_id=encoder.space.space_id,
        item_embeddings=embeddings,
        interest_points=points,
        item_interests=read_table(scope, "item_interests", day=day),
        knowledge=_knowledge(scope, day=day, embeddings=embeddings, points=points, items=items) if question.graph_weight > 0 else None,
        words=WordIndex.of(items, item_embeddings=embeddings, weight=question.word_weight) if question.word_weight > 0 else None,
        k=k,
        text=query,
        language=scope.dataset.language,
    )
    names = titles(scope, day=day)
    return [{**row, "title": names[row["item_id"]]} for row in ranked]


def _knowledge(scope: Scope, *, day: date, embeddings: pa.Table, points: pa.Table, items: pa.Table) -> Knowledge:
    """The day's graph without its users, as questions pass it."""
    edges, triples = (read_table(scope, name, day=day) for name in ("interest_graph", "knowledge_graph"))
    names = Names.from_tables(items=items, interest_points=points, knowledge_graph=triples)
    return Knowledge.of(edges, item_embeddings=embeddings, interest_points=points, names=names, config=scope.config.question)


def similar(scope: Scope, *, kind: str, identifier: str, k: int, day: date | None) -> list[dict[str, Any]]:
    """Neighbours of an item (`kind` "item") or a user ("user"); raises `UnknownIdError` where there is none."""
    table = read_table(scope, f"similar_{kind}s", day=day)
    inside = scope.border.inward(identifier) if kind == "user" else identifier
    found = table.filter(pc.equal(table.column(f"{kind}_id"), inside)).sort_by("rank").slice(0, k)
    if not found.num_rows:
        raise UnknownIdError(kind, [identifier])
    names = titles(scope, day=day) if kind == "item" else {}
    hidden = {f"{kind}_id", "release_id"}
    rows = [{name: value for name, value in row.items() if name not in hidden} for row in found.to_pylist()]
    return [{**row, "title": names[row["similar_item_id"]]} if kind == "item" else row for row in rows]


def metric_rows(scope: Scope, *, day: date | None, segment: str = "all") -> list[dict[str, Any]]:
    """One row per model with the metrics people ask for first, best NDCG@10 first."""
    table = read_table(scope, "evaluation", day=day)
    chosen = table.filter(pc.equal(table.column("segment"), segment)).to_pylist()
    shown = ("ndcg@10", "recall@20", "hit_rate@10", "mrr@10", "coverage@10", "novelty@10")
    models: dict[str, dict[str, Any]] = {}
    for row in chosen:
        if row["metric"] in shown:
            entry = models.setdefault(row["model"], {"model": row["model"]})
            entry[row["metric"]] = row["value"]
            if row["metric"] == "ndcg@10" and row["ci_low"] is not None:
                entry["ndcg@10 interval"] = f"{row['ci_low']:.4f} to {row['ci_high']:.4f}"
    order = ["model", "ndcg@10", "ndcg@10 interval", *shown[1:]]
    rows = [{name: entry.get(name) for name in order} for entry in models.values()]
    return sorted(rows, key=lambda row: -(row["ndcg@10"] or 0.0))


def comparison_rows(scope: Scope, *, day: date | None) -> list[dict[str, Any]]:
    """Our model minus each baseline on NDCG@10, with its paired interval."""
    table = read_table(scope, "model_comparisons", day=day)
    return [row for row in table.to_pylist() if row["metric"] == "ndcg@10"]


def _row(table: pa.Table, column: str, value: str) -> dict[str, Any]:
    found = table.filter(pc.equal(table.column(column), value))
    if not found.num_rows:
        raise UnknownIdError(column.removesuffix("_id"), [value])
    row: dict[str, Any] = found.to_pylist()[0]
    return row
