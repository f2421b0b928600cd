"""Drift of behaviour, interests and embeddings, and ranking quality over time."""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc

from ml.contracts.behaviour import MART_TABLES, RAW_EVENTS
from ml.contracts.files import write_parquet
from ml.contracts.outputs import DRIFT, EVALUATION, RECONCILIATION
from ml.intake.ingest import landed_days
from ml.intake.reconcile import CHANGED, MARTS_DIFFER, NOT_BUILT, days_in_state, reconcile
from monitoring.drift import drift_verdict, measure_drift
from monitoring.quality import quality_over_time
from monitoring.report import write_report
from orchestration.metadata import markdown_table
from orchestration.scope import Scope
from orchestration.table_assets import OWNER, DayCheck, DayRun, Made, contract_attributes, day_assets, newest_day_asset, partition_days

GROUP = "monitoring"
KINDS = {"python", "evidently"}
DRIFT_CHECK = "behaviour_as_before"
RECONCILED_CHECK = "days_as_landed"
MAX_DAYS_SHOWN = 50


def monitoring_assets(scope: Scope) -> list[dg.AssetsDefinition]:
    """The drift table with its page and its check, and the page of ranking quality."""
    config = scope.config.monitoring

    def judge_drift(day: date) -> dg.AssetCheckResult:
        passed, reason = drift_verdict(scope.store.read(DRIFT, day=day), config=config)
        return dg.AssetCheckResult(
            asset_key=scope.key(DRIFT.name),
            check_name=DRIFT_CHECK,
            passed=passed,
            severity=dg.AssetCheckSeverity.WARN,
            description=reason,
            metadata={"reason": reason},
        )

    spec = dg.AssetCheckSpec(
        DRIFT_CHECK,
        asset=scope.key(DRIFT.name),
        description="Behaviour, interests and embeddings of the last days are distributed as in the weeks before.",
    )

    @day_assets(scope, DRIFT.name, group=GROUP, kinds=KINDS, settings=config, checks=[DayCheck(spec, judge_drift)])
    def drift(
        run: DayRun,
        interactions: pa.Table,
        user_activity_daily: pa.Table,
        items: pa.Table,
        item_interests: pa.Table,
        interest_points: pa.Table,
        item_embeddings: pa.Table,
    ) -> Made:
        found = measure_drift(
            interactions,
            user_activity_daily=user_activity_daily,
            items=items,
            item_interests=item_interests,
            interest_points=interest_points,
            item_embeddings=item_embeddings,
            config=config,
            as_of=run.as_of,
        )
        page = write_report(found.html, scope.home.reports / f"drift-{run.day.isoformat()}.html")
        summary = found.table.select(["dataset", "column_name", "method", "score", "threshold", "has_drifted"])
        return Made(found.table, {"report": dg.MetadataValue.path(str(page)), "summary": dg.MetadataValue.md(markdown_table(summary))})

    @newest_day_asset(
        scope,
        "ranking_quality",
        deps=(EVALUATION.name,),
        group_name=GROUP,
        kinds=KINDS,
        description="NDCG@10 of every model over the evaluated days, as a page.",
    )
    def ranking_quality(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None]]:
        day = partition_days(context)[-1]
        known = [written for written in scope.store.days(EVALUATION.name) if written <= day]
        found = quality_over_time(
            {written: scope.store.read(EVALUATION, day=written) for written in known}, metric=scope.config.evaluation.gate_metric
        )
        page = write_report(found.html, scope.home.reports / f"quality-{day.isoformat()}.html")
        yield dg.MaterializeResult(metadata={"report": dg.MetadataValue.path(str(page)), "days": len(known)})

    @dg.asset(
        key=scope.key(RECONCILIATION.name),
        deps=[scope.key(contract.name) for contract in (RAW_EVENTS, *MART_TABLES)],
        group_name=GROUP,
        owners=[OWNER],
        kinds={"python", "parquet"},
        check_specs=[
            dg.AssetCheckSpec(
                RECONCILED_CHECK,
                asset=scope.key(RECONCILIATION.name),
                description="Every day's raw events and marts hold what the landing files hold now.",
            )
        ],
        description=contract_attributes(RECONCILIATION)["description"],
        metadata=contract_attributes(RECONCILIATION)["metadata"],
    )
    def reconciliation(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None]]:
        landed = landed_days(scope.dataset, config=scope.config.intake, now=datetime.now(UTC), landed=scope.home.landed)
        built = scope.store.days(RAW_EVENTS.name)
        found = reconcile(landed, store=scope.store, through=built[-1] if built else scope.dataset.start)
        path = write_parquet(found, scope.home.reconciliation)
        apart = days_in_state(found, CHANGED, NOT_BUILT, MARTS_DIFFER)
        shown = found.filter(pc.is_in(found.column("day"), value_set=pa.array(apart, pa.date32()))).slice(0, MAX_DAYS_SHOWN)
        context.log.info(f"{found.num_rows} day(s) compared, {len(apart)} not as landed")
        yield dg.MaterializeResult(
            metadata={
                "path": dg.MetadataValue.path(str(path)),
                "days": found.num_rows,
                "days apart": dg.MetadataValue.md(markdown_table(shown)),
            },
            check_results=[judge_reconciled(apart)],
        )

    return [drift, ranking_quality, reconciliation]


def judge_reconciled(apart: Sequence[date]) -> dg.AssetCheckResult:
    """A warning naming the days that are not as landed, and what builds them."""
    named = ", ".join(day.isoformat() for day in apart[:MAX_DAYS_SHOWN])
    said = f"{len(apart)} day(s) are not as landed ({named}); materialize raw and marts for them" if apart else "every day is as landed"
    return dg.AssetCheckResult(
        check_name=RECONCILED_CHECK,
        passed=not apart,
        severity=dg.AssetCheckSeverity.WARN,
        description=said,
        metadata={"days apart": len(apart)},
    )
