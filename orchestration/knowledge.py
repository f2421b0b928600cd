"""What the commands around the knowledge graph do: write its page, match a text, have texts read by a language model.

Reads tables of a day; only `extract` speaks to a network, and what it writes is a landing file.
"""

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa

from ml.contracts.files import write_parquet, write_text
from ml.knowledge.answer_cache import AnswerCache
from ml.knowledge.extraction import extract_triples
from ml.knowledge.matching import graph_nodes, match_nodes
from ml.knowledge.page import knowledge_page
from orchestration.answers import newest_partition, read_table
from orchestration.encoders import encoder_of_day
from orchestration.llm_endpoint import HttpEndpoint
from orchestration.scope import Scope


def page_path(scope: Scope, day: date) -> Path:
    """Where a day's page lies unless somebody says otherwise."""
    return scope.home.reports / "knowledge" / f"{day}.html"


def save_page(scope: Scope, *, knowledge_graph: pa.Table, items: pa.Table, day: date, out: Path | None = None) -> Path:
    """Write a day's page; returns its path."""
    html = knowledge_page(knowledge_graph, items=items, title=f"{scope.dataset.name}: knowledge on {day}")
    return write_text(html, out or page_path(scope, day))


def write_page(scope: Scope, *, day: date | None, out: Path | None) -> Path:
    """Write the page of a day, the newest by default, from its tables."""
    when = day or newest_partition(scope, "knowledge_graph")
    graph, items = (read_table(scope, name, day=when) for name in ("knowledge_graph", "items"))
    return save_page(scope, knowledge_graph=graph, items=items, day=when, out=out)


def matching_nodes(scope: Scope, text: str, *, k: int, day: date | None) -> list[dict[str, Any]]:
    """Nodes for a text with both scores."""
    when = day or newest_partition(scope, "knowledge_graph")
    encoder = encoder_of_day(scope, when)
    graph = read_table(scope, "knowledge_graph", day=when)
    return match_nodes(
        text,
        nodes=graph_nodes(graph, items=read_table(scope, "items", day=when)),
        knowledge_graph=graph,
        item_embeddings=read_table(scope, "item_embeddings", day=when),
        query_vector=encoder.encode([text], kind="query").vectors_ND[0],
        space_id=encoder.space.space_id,
        k=k,
    )


def extract(scope: Scope, *, key: str | None, day: date | None, out: Path) -> Iterator[str]:
    """Write triples read by the profile's endpoint to `out` as Parquet; says what it took and what could not be used."""
    config = scope.config.extractor
    with HttpEndpoint(config, key=key) as endpoint:
        items = read_table(scope, "items", day=day)
        found = extract_triples(items, endpoint=endpoint, cache=AnswerCache(scope.home.extractor_answers), config=config)
    write_parquet(found.triples, out)
    yield f"{found.triples.num_rows} triples in {out}, from {found.num_asked + found.num_reused} of {found.num_texts} texts"
    yield f"asked {found.num_asked}, answers kept from before {found.num_reused}, tokens {found.num_tokens}"
    if not found.is_complete:
        yield "stopped: extractor.max_requests or extractor.max_tokens is spent; run again to go on"
    yield from (str(finding) for finding in found.findings)
