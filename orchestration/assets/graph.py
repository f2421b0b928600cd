"""The knowledge graph and the interest graph."""

import dagster as dg
import pyarrow as pa

from ml.contracts.meaning import INTEREST_GRAPH, KNOWLEDGE_GRAPH
from ml.graph.build import build_interest_graph
from ml.graph.summary import summarise
from ml.graph.table import graph_to_table
from ml.ids import Vocabulary
from ml.knowledge.triples import build_knowledge_graph
from orchestration.scope import Scope
from orchestration.table_assets import DayRun, Made, day_assets

GROUP = "graph"
KINDS = {"python", "parquet"}


def graph_assets(scope: Scope) -> list[dg.AssetsDefinition]:
    """Triples about items, then every typed edge."""
    config = scope.config.graph

    @day_assets(scope, KNOWLEDGE_GRAPH.name, group=GROUP, kinds=KINDS, needed_by_full_fits=True)
    def knowledge_graph(run: DayRun, items: pa.Table, raw_knowledge: pa.Table) -> Made:  # noqa: ARG001  a day is its tables
        return Made(build_knowledge_graph(items, raw_knowledge=raw_knowledge))

    @day_assets(scope, INTEREST_GRAPH.name, group=GROUP, kinds=KINDS, settings=(config,))
    def interest_graph(
        run: DayRun,
        interactions: pa.Table,
        items: pa.Table,
        item_interests: pa.Table,
        user_interests: pa.Table,
        knowledge_graph: pa.Table,
    ) -> Made:
        graph = build_interest_graph(
            interactions,
            items=Vocabulary("item", items.column("item_id")),
            users=Vocabulary("user", interactions.column("user_id")),
            item_interests=item_interests,
            user_interests=user_interests,
            knowledge_graph=knowledge_graph,
            config=config,
            as_of=run.as_of,
        )
        return Made(graph_to_table(graph), summarise(graph))

    return [knowledge_graph, interest_graph]
