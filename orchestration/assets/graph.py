"""The knowledge graph, the interest graph, and its communities."""

from datetime import date
from typing import Any

import dagster as dg
import numpy as np
import pyarrow as pa

from ml.contracts import CONTRACTS
from ml.contracts.meaning import COMMUNITIES, COMMUNITY_MEMBERS, INTEREST_GRAPH, KNOWLEDGE_GRAPH
from ml.graph.build import build_with_report, known_users
from ml.graph.communities import Partition, between_communities, modularity, partition
from ml.graph.community_picture import community_map
from ml.graph.community_tables import community_tables
from ml.graph.meaning import item_vectors
from ml.graph.summary import summarise
from ml.graph.table import graph_from_table, graph_to_table
from ml.ids import Vocabulary
from ml.knowledge.findings import knowledge_findings
from ml.knowledge.triples import build_knowledge_graph
from ml.reviews.weighing import weigh_interactions
from orchestration.knowledge import save_page
from orchestration.metadata import markdown_table, png
from orchestration.scope import Scope
from orchestration.table_assets import DayCheck, DayRun, Made, day_assets

GROUP = "graph"
KINDS = {"python", "parquet"}
SHOWN_COMMUNITIES = 30
CLEAN_CHECK = "given_triples_are_clean"


def graph_assets(scope: Scope) -> list[dg.AssetsDefinition]:
    """Triples about items, then every typed edge, then what hangs together."""
    config, knowledge, reviews = scope.config.graph, scope.config.knowledge, scope.config.reviews
    communities = scope.config.communities

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
        item_embeddings: pa.Table,
        interest_points: pa.Table,
        item_interests: pa.Table,
        user_interests: pa.Table,
        knowledge_graph: pa.Table,
        review_signals: pa.Table,
        reviewer_signals: pa.Table,
    ) -> Made:
        weighed = weigh_interactions(
            interactions, review_signals=review_signals, reviewer_signals=reviewer_signals, config=reviews, as_of=run.as_of
        )
        catalogue = Vocabulary("item", items.column("item_id"))
        graph, pruned = build_with_report(
            weighed,
            items=catalogue,
            users=known_users(interactions, user_interests=user_interests),
            item_interests=item_interests,
            user_interests=user_interests,
            knowledge_graph=knowledge_graph,
            config=config,
            as_of=run.as_of,
            interest_points=interest_points,
            text_ID=item_vectors(item_embeddings, items=catalogue),
        )
        return Made(graph_to_table(graph), summarise(graph) | {"pruned": dg.MetadataValue.md(markdown_table(pruned))})

    @day_assets(scope, COMMUNITIES.name, COMMUNITY_MEMBERS.name, group=GROUP, kinds=KINDS, settings=communities)
    def communities_(run: DayRun, interest_graph: pa.Table, interest_points: pa.Table) -> tuple[Made, Made]:
        graph = graph_from_table(interest_graph)
        found = partition(graph, resolution=communities.resolution, seed=communities.seed)
        table, members = community_tables(graph, found, interest_points=interest_points, config=communities)
        said = community_metadata(table, found, resolution=communities.resolution)
        if run.is_newest:
            said["map"] = png(community_map(table, between_communities(found)))
        return Made(table, said), Made(members)

    return [knowledge_graph, interest_graph, communities_]


def community_metadata(communities: pa.Table, found: Partition, *, resolution: float) -> dict[str, Any]:
    """How many, how well apart, how large; the largest by name."""
    sizes = sum(np.asarray(communities.column(f"num_{kind}")) for kind in ("users", "items", "interests"))
    quantiles = {"smallest": 0.0, "median": 0.5, "largest": 1.0} if communities.num_rows else {}
    shown = communities.select(["name", "num_users", "num_items", "num_interests", "cohesion"]).slice(0, SHOWN_COMMUNITIES)
    return {
        "communities": communities.num_rows,
        "modularity": modularity(found, resolution=resolution),
        **{f"members of the {name}": float(np.quantile(sizes, share)) for name, share in quantiles.items()},
        "largest communities": dg.MetadataValue.md(markdown_table(shown)),
    }


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
