"""The knowledge graph and the interest graph."""

from datetime import date

import dagster as dg
import pyarrow as pa

from ml.contracts import CONTRACTS
from ml.contracts.meaning import INTEREST_GRAPH, KNOWLEDGE_GRAPH
from ml.graph.build import build_interest_graph, known_users
from ml.graph.summary import summarise
from ml.graph.table import graph_to_table
from ml.ids import Vocabulary
from ml.knowledge.findings import knowledge_findings
from ml.knowledge.triples import build_knowledge_graph
from ml.reviews.weighing import weigh_interactions
from orchestration.knowledge import save_page
from orchestration.scope import Scope
from orchestration.table_assets import DayCheck, DayRun, Made, day_assets

GROUP = "graph"
KINDS = {"python", "parquet"}
CLEAN_CHECK = "given_triples_are_clean"


def graph_assets(scope: Scope) -> list[dg.AssetsDefinition]:
    """Triples about items, then every typed edge."""
    config, knowledge, reviews = scope.config.graph, scope.config.knowledge, scope.config.reviews

    @day_assets(
        scope,
        KNOWLEDGE_GRAPH.name,
        group=GROUP,
        kinds=KINDS,
        settings=knowledge,
        checks=[clean_knowledge(scope)],
        needed_by_full_fits=True,
    )
    def knowledge_graph(run: DayRun, items: pa.Table, raw_knowledge: pa.Table) -> Made:
        graph = build_knowledge_graph(items, raw_knowledge=raw_knowledge, config=knowledge)
        page = save_page(scope, knowledge_graph=graph, items=items, day=run.day) if run.is_newest else None
        return Made(graph, knowledge_metadata(graph) | ({"page": dg.MetadataValue.url(page.as_uri())} if page else {}))

    @day_assets(scope, INTEREST_GRAPH.name, group=GROUP, kinds=KINDS, settings=(config, reviews))
    def interest_graph(
        run: DayRun,
        interactions: pa.Table,
        items: pa.Table,
        item_interests: pa.Table,
        user_interests: pa.Table,
        knowledge_graph: pa.Table,
        review_signals: pa.Table,
        reviewer_signals: pa.Table,
    ) -> Made:
        weighed = weigh_interactions(
            interactions, review_signals=review_signals, reviewer_signals=reviewer_signals, config=reviews, as_of=run.as_of
        )
        graph = build_interest_graph(
            weighed,
            items=Vocabulary("item", items.column("item_id")),
            users=known_users(interactions, user_interests=user_interests),
            item_interests=item_interests,
            user_interests=user_interests,
            knowledge_graph=knowledge_graph,
            config=config,
            as_of=run.as_of,
        )
        return Made(graph_to_table(graph), summarise(graph))

    return [knowledge_graph, interest_graph]


def knowledge_metadata(graph: pa.Table) -> dict[str, int]:
    """Triples by where they come from."""
    counted = graph.group_by("source").aggregate([([], "count_all")]).to_pylist()
    return {f"triples from {row['source']}": row["count_all"] for row in sorted(counted, key=lambda row: str(row["source"]))}


def clean_knowledge(scope: Scope) -> DayCheck:
    """A warning that says what is wrong with the given triples; the good ones went on."""
    spec = dg.AssetCheckSpec(
        CLEAN_CHECK,
        asset=scope.key(KNOWLEDGE_GRAPH.name),
        description="Given triples have two ends, a relation with a name, one spelling per name and one kind of tail per relation.",
    )

    def judge(day: date) -> dg.AssetCheckResult:
        given, items = (scope.store.read(CONTRACTS[name], day=day) for name in ("raw_knowledge", "items"))
        findings = knowledge_findings(given, items=items)
        return dg.AssetCheckResult(
            check_name=CLEAN_CHECK,
            asset_key=scope.key(KNOWLEDGE_GRAPH.name),
            passed=not findings,
            severity=dg.AssetCheckSeverity.WARN,
            description="\n".join(str(finding) for finding in findings) or "nothing wrong",
            metadata={"given triples": given.num_rows, "findings": len(findings)},
        )

    return DayCheck(spec, judge)
