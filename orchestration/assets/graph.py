"""The knowledge graph and the interest graph."""

import dagster as dg
import pyarrow as pa

from ml.contracts.meaning import INTEREST_GRAPH, KNOWLEDGE_GRAPH
from ml.days import as_of
from ml.graph.build import build_interest_graph
from ml.graph.summary import summarise
from ml.graph.table import graph_to_table
from ml.ids import Vocabulary
from ml.knowledge.triples import build_knowledge_graph
from orchestration.scope import Scope
from orchestration.table_assets import partition_day, table_asset

GROUP = "graph"
KINDS = {"python", "parquet"}


def graph_assets(scope: Scope) -> list[dg.AssetsDefinition]:
    """Triples about items, then every typed edge."""

    @table_asset(scope, KNOWLEDGE_GRAPH, group=GROUP, kinds=KINDS)
    def knowledge_graph(items: pa.Table, raw_knowledge: pa.Table) -> pa.Table:
        return build_knowledge_graph(items, raw_knowledge=raw_knowledge)

    @table_asset(scope, INTEREST_GRAPH, group=GROUP, kinds=KINDS)
    def interest_graph(
        context: dg.AssetExecutionContext,
        interactions: pa.Table,
        items: pa.Table,
        item_interests: pa.Table,
        user_interests: pa.Table,
        knowledge_graph: pa.Table,
    ) -> dg.Output[pa.Table]:
        graph = build_interest_graph(
            interactions,
            items=Vocabulary("item", items.column("item_id")),
            users=Vocabulary("user", interactions.column("user_id")),
            item_interests=item_interests,
            user_interests=user_interests,
            knowledge_graph=knowledge_graph,
            config=scope.config.graph,
            as_of=as_of(partition_day(context)),
        )
        return dg.Output(graph_to_table(graph), metadata=summarise(graph))

    return [knowledge_graph, interest_graph]
