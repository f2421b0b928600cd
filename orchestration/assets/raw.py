"""Landing files in: the raw tables and the rows kept out of them."""

from collections.abc import Iterator
from datetime import UTC, datetime

import dagster as dg

from ml.contracts.behaviour import RAW_TABLES
from ml.intake.ingest import ingest
from orchestration.scope import Scope
from orchestration.table_assets import OWNER, contract_attributes, partition_days

QUARANTINE_CHECK = "quarantined_share"


def raw_assets(scope: Scope) -> list[dg.AssetsDefinition]:
    """One operation reads the landing files once, however many days it is asked for."""

    @dg.multi_asset(
        name="landing",
        specs=[
            dg.AssetSpec(
                scope.key(contract.name), group_name="raw", owners=[OWNER], kinds={"parquet", "duckdb"}, **contract_attributes(contract)
            )
            for contract in RAW_TABLES
        ],
        check_specs=[
            dg.AssetCheckSpec(
                QUARANTINE_CHECK,
                asset=scope.key("raw_events"),
                blocking=True,
                description="The share of rows kept out of the raw tables stays within intake.max_quarantined_share.",
            )
        ],
        partitions_def=scope.partitions,
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def landing(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
        days = partition_days(context)
        report = ingest(
            scope.dataset,
            days=days,
            store=scope.store,
            border=scope.border,
            config=scope.config.intake,
            now=datetime.now(UTC),
        )
        for contract in RAW_TABLES:
            yield dg.MaterializeResult(asset_key=scope.key(contract.name), metadata={"rows written": report.num_rows[contract.name]})
        limit = scope.config.intake.max_quarantined_share
        yield dg.AssetCheckResult(
            check_name=QUARANTINE_CHECK,
            asset_key=scope.key("raw_events"),
            passed=report.quarantined_share <= limit,
            metadata={"share": report.quarantined_share, "limit": limit, "rows kept out": report.num_quarantined},
            description=f"{report.num_quarantined} row(s) kept out, {report.quarantined_share:.2%} of all; see quarantined_rows for file, "
            "line, column, reason and mend.",
        )

    return [landing]
