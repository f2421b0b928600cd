"""Landing files in: the raw tables and the rows kept out of them."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import dagster as dg
import pyarrow.compute as pc

from ml.contracts import CONTRACTS
from ml.contracts.behaviour import QUARANTINED_ROWS, RAW_EVENTS, RAW_ITEMS, RAW_KNOWLEDGE, RAW_TABLES, RAW_USERS
from ml.days import days_through
from ml.intake.ingest import IngestReport, ingest
from monitoring.guards import Alarm, event_type_alarms, null_alarms, null_shares, verdict, volume_alarms
from orchestration.code_version import code_version
from orchestration.scope import Scope
from orchestration.table_assets import OWNER, contract_attributes, partition_days, say_what_days_hold, wants_recompute

QUARANTINE_CHECK = "quarantined_share"
USUAL_CHECK = "as_usual"
# A run with this tag goes on although its newest day is unusual.
ACCEPT_TAG = "interest_graph/accept"
GUARDED = (RAW_EVENTS, RAW_ITEMS, RAW_USERS, RAW_KNOWLEDGE)


def raw_assets(scope: Scope) -> list[dg.AssetsDefinition]:
    """One operation reads what is new in the landing files once, however many days it is asked for.

    Days before those asked for that are missing, or that late events have changed, are made on the
    way: what a day is computed from is all that happened before its end.
    """
    version = code_version(__name__, settings=(scope.config.intake, scope.dataset))

    @dg.multi_asset(
        name="landing",
        specs=[
            dg.AssetSpec(
                scope.key(contract.name),
                group_name="raw",
                owners=[OWNER],
                kinds={"parquet", "duckdb"},
                code_version=version,
                **contract_attributes(contract),
            )
            for contract in RAW_TABLES
        ],
        check_specs=[
            dg.AssetCheckSpec(
                QUARANTINE_CHECK,
                asset=scope.key("raw_events"),
                blocking=True,
                description="The share of rows kept out of the raw tables stays within intake.max_quarantined_share.",
            ),
            dg.AssetCheckSpec(
                USUAL_CHECK,
                asset=scope.key("raw_events"),
                blocking=True,
                description="Row counts, null shares and event types of the newest day are as in the weeks before.",
            ),
        ],
        partitions_def=scope.partitions,
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def landing(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
        asked = partition_days(context)
        report = ingest(
            scope.dataset,
            days=list(days_through(scope.dataset.start, asked[-1])),
            store=scope.store,
            border=scope.border,
            config=scope.config.intake,
            now=datetime.now(UTC),
            landed=scope.home.landed,
            code_version=version,
            recompute=wants_recompute(context),
        )
        say_what_days_hold(context, scope, [contract.name for contract in RAW_TABLES], asked=asked, made=report.written)
        for contract in RAW_TABLES:
            yield dg.MaterializeResult(asset_key=scope.key(contract.name))
        yield judge_quarantine(scope, report)
        yield judge_usual(scope, day=asked[-1], accepted=context.run.tags.get(ACCEPT_TAG) == "true")

    return [landing]


def judge_quarantine(scope: Scope, report: IngestReport) -> dg.AssetCheckResult:
    """Whether few enough rows were kept out."""
    limit = scope.config.intake.max_quarantined_share
    return dg.AssetCheckResult(
        check_name=QUARANTINE_CHECK,
        asset_key=scope.key("raw_events"),
        passed=report.quarantined_share <= limit,
        metadata={"share": report.quarantined_share, "limit": limit, "rows kept out": report.num_quarantined},
        description=f"{report.num_quarantined} row(s) kept out, {report.quarantined_share:.2%} of all; see quarantined_rows for file, "
        "line, column, reason and mend.",
    )


def judge_usual(scope: Scope, *, day: date, accepted: bool) -> dg.AssetCheckResult:
    """Whether the day's input is as usual; what is grave stops the run unless it was accepted."""
    alarms = [alarm for contract in GUARDED for alarm in table_alarms(scope, contract.name, day=day)] + unknown_types(scope, day=day)
    passed, is_grave, said = verdict(alarms)
    return dg.AssetCheckResult(
        check_name=USUAL_CHECK,
        asset_key=scope.key("raw_events"),
        passed=passed,
        severity=dg.AssetCheckSeverity.ERROR if is_grave and not accepted else dg.AssetCheckSeverity.WARN,
        description=said,
        metadata={"alarms": len(alarms), "accepted": accepted},
    )


def table_alarms(scope: Scope, name: str, *, day: date) -> list[Alarm]:
    """Volume and nulls of one raw table; the first partition holds all history before it and is no usual day."""
    config = scope.config.monitoring
    first = max(scope.dataset.start + timedelta(days=1), day - timedelta(days=config.volume_days))
    days = [known for known in scope.store.days(name) if first <= known <= day]
    manifests = {known: scope.store.manifest(name, day=known) for known in days}
    counts = {known: manifest.num_rows for known, manifest in manifests.items() if manifest}
    shares = {known: null_shares(scope.store.read(CONTRACTS[name], day=known)) for known in days}
    return [
        *volume_alarms(counts, table=name, day=day, config=config),
        *null_alarms({known: found for known, found in shares.items() if found}, table=name, day=day, config=config),
    ]


def unknown_types(scope: Scope, *, day: date) -> list[Alarm]:
    """Events of the day kept out because the dataset file gives their type no weight, against the day's own events."""
    reasons = Counter(type_reasons(scope, day=day)) - Counter(type_reasons(scope, day=day - timedelta(days=1)))
    manifest = scope.store.manifest(RAW_EVENTS.name, day=day)
    return event_type_alarms(sorted(reasons.elements()), num_events=manifest.num_rows if manifest else 0, config=scope.config.monitoring)


def type_reasons(scope: Scope, *, day: date) -> list[str]:
    """Why events up to a day were kept out for their type; none for a day before the first."""
    if day < scope.dataset.start:
        return []
    kept_out = scope.store.read(QUARANTINED_ROWS, day=day)
    is_event, is_type = pc.equal(kept_out.column("table_name"), "events"), pc.equal(kept_out.column("column_name"), "event_type")
    reasons: list[str] = kept_out.filter(pc.and_(is_event, is_type)).column("reason").to_pylist()
    return reasons
