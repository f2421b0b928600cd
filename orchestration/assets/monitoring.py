"""Drift of behaviour, interests and embeddings, and ranking quality over time."""

from collections.abc import Iterator

import dagster as dg
import pyarrow as pa

from ml.contracts.outputs import DRIFT, EVALUATION
from ml.days import as_of
from monitoring.drift import drift_verdict, measure_drift
from monitoring.quality import quality_over_time
from monitoring.report import write_report
from orchestration.metadata import markdown_table
from orchestration.scope import Scope
from orchestration.table_assets import OWNER, partition_day, table_asset

GROUP = "monitoring"
KINDS = {"python", "evidently"}
DRIFT_CHECK = "behaviour_as_before"


def monitoring_assets(scope: Scope) -> list[dg.AssetsDefinition]:
    """The drift table with its page and its check, and the page of ranking quality."""
    config = scope.config.monitoring

    @table_asset(
        scope,
        DRIFT,
        group=GROUP,
        kinds=KINDS,
        check_specs=[
            dg.AssetCheckSpec(
                DRIFT_CHECK,
                asset=scope.key(DRIFT.name),
                description="Behaviour, interests and embeddings of the last days are distributed as in the weeks before.",
            )
        ],
    )
    def drift(
        context: dg.AssetExecutionContext,
        interactions: pa.Table,
        user_activity_daily: pa.Table,
        items: pa.Table,
        item_interests: pa.Table,
        interest_points: pa.Table,
        item_embeddings: pa.Table,
    ) -> Iterator[dg.Output[pa.Table] | dg.AssetCheckResult]:
        day = partition_day(context)
        found = measure_drift(
            interactions,
            user_activity_daily=user_activity_daily,
            items=items,
            item_interests=item_interests,
            interest_points=interest_points,
            item_embeddings=item_embeddings,
            config=config,
            as_of=as_of(day),
        )
        page = write_report(found.html, scope.home.reports / f"drift-{day.isoformat()}.html")
        summary = found.table.select(["dataset", "column_name", "method", "score", "threshold", "has_drifted"])
        yield dg.Output(
            found.table, metadata={"report": dg.MetadataValue.path(str(page)), "summary": dg.MetadataValue.md(markdown_table(summary))}
        )
        passed, reason = drift_verdict(found.table, config=config)
        yield dg.AssetCheckResult(
            check_name=DRIFT_CHECK, passed=passed, severity=dg.AssetCheckSeverity.WARN, description=reason, metadata={"reason": reason}
        )

    @dg.asset(
        key=scope.key("ranking_quality"),
        deps=[scope.key(EVALUATION.name)],
        partitions_def=scope.partitions,
        group_name=GROUP,
        owners=[OWNER],
        kinds=KINDS,
        description="NDCG@10 of every model over the evaluated days, as a page.",
    )
    def ranking_quality(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None]]:
        day = partition_day(context)
        known = [written for written in scope.store.days(EVALUATION.name) if written <= day]
        found = quality_over_time(
            {written: scope.store.read(EVALUATION, day=written) for written in known}, metric=scope.config.evaluation.gate_metric
        )
        page = write_report(found.html, scope.home.reports / f"quality-{day.isoformat()}.html")
        yield dg.MaterializeResult(metadata={"report": dg.MetadataValue.path(str(page)), "days": len(known)})

    return [drift, ranking_quality]
