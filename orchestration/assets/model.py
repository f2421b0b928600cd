"""The candidate of a day, its trial beside the baselines, and what is in force and live after it."""

from collections.abc import Iterator
from dataclasses import asdict
from datetime import date
from typing import NamedTuple

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc

from ml.config import PipelineConfig
from ml.contracts.meaning import ITEM_EMBEDDINGS
from ml.contracts.outputs import EVALUATION, MODEL_COMPARISONS, RELEASE_DECISIONS
from ml.contracts.spaces import space_of
from ml.models.hybrid.choices import Choices
from ml.training.candidate import Candidate, NoCandidate, TrainingOutcome, TrainingTables, train_candidate
from ml.training.candidates import NAME as CANDIDATE
from ml.training.model_card import model_card
from ml.training.promotion import consider
from ml.training.releasing import decide, undecided
from ml.training.trial import Trial, put_to_trial, untried
from orchestration.metadata import line_plot, markdown_table, png
from orchestration.scope import Scope
from orchestration.table_assets import DayRun, Made, day_assets, newest_day_asset, partition_days

GROUP = "model"
KINDS = {"python", "torch"}
LIVE = "live_release"
TABLES = (
    "interactions",
    "items",
    "item_embeddings",
    "item_interests",
    "text_interests",
    "knowledge_graph",
    "review_signals",
    "interest_points",
)


class LastFullFit(NamedTuple):
    """What the full fit that a day starts from came to."""

    outcome: TrainingOutcome
    decisions: pa.Table


def model_assets(scope: Scope) -> list[dg.AssetsDefinition]:
    """Train, measure, decide; then, once a day, look at what is live."""
    config = scope.config
    settings = (config.model, config.hybrid, config.graph, config.interests, config.reviews, config.evaluation)

    @day_assets(
        scope,
        CANDIDATE,
        group=GROUP,
        kinds=KINDS,
        settings=settings,
        description="The day's interest-graph GNN, fitted from nothing or from the last full fit: one to be measured, one to be released.",
        stands_on={CANDIDATE: scope.artefact(CANDIDATE)},
        needed_by_full_fits=True,
    )
    def candidate(
        run: DayRun,
        interactions: pa.Table,
        items: pa.Table,
        item_embeddings: pa.Table,
        item_interests: pa.Table,
        text_interests: pa.Table,
        knowledge_graph: pa.Table,
        review_signals: pa.Table,
        interest_points: pa.Table,
    ) -> Made:
        base = scope.last_full_fit(run.day)
        found = train_candidate(
            TrainingTables(
                interactions, items, item_embeddings, item_interests, text_interests, knowledge_graph, review_signals, interest_points
            ),
            config=config,
            as_of=run.as_of,
            last_full_fit=scope.candidates.read(base) if base else None,
            checkpoints=scope.candidates.checkpoints(run.day),
            progress=run.progress("epochs"),
        )
        return Made(found, training_metadata(found) if run.is_newest else {})

    @day_assets(
        scope,
        EVALUATION.name,
        MODEL_COMPARISONS.name,
        RELEASE_DECISIONS.name,
        group=GROUP,
        kinds={"python", "parquet"},
        settings=(*settings, scope.dataset.name),
        stands_on={name: scope.artefact(name) for name in (CANDIDATE, RELEASE_DECISIONS.name)},
        needed_by_full_fits=True,
        holds=lambda day: has_its_release(scope, day),
    )
    def trial(
        run: DayRun,
        candidate: TrainingOutcome,
        interactions: pa.Table,
        items: pa.Table,
        item_embeddings: pa.Table,
        item_interests: pa.Table,
        text_interests: pa.Table,
        knowledge_graph: pa.Table,
        review_signals: pa.Table,
        interest_points: pa.Table,
    ) -> tuple[Made, Made, Made]:
        last = read_last_full_fit(scope, run)
        decisions = last.decisions if last else None
        if isinstance(candidate, NoCandidate):
            found = untried(candidate.reason)
            return Made(found.evaluation), Made(found.comparisons), Made(undecided(found, releases=scope.releases, last_full_fit=decisions))
        started_from = last.outcome if last and candidate.last_full_fit else None
        found = put_to_trial(
            candidate,
            tables=TrainingTables(
                interactions, items, item_embeddings, item_interests, text_interests, knowledge_graph, review_signals, interest_points
            ),
            last_full_fit=started_from.evaluated if isinstance(started_from, Candidate) else None,
            config=config,
            progress=run.progress("test users"),
        )
        decision = decide(
            found,
            day=run.day,
            candidate=scope.candidates.directory(run.day),
            releases=scope.releases,
            last_full_fit=decisions,
            made_from=made_from(config, item_embeddings),
            card=model_card(candidate, trial=found, config=config, dataset=scope.dataset.name),
        )
        return (
            Made(found.evaluation, {"accuracy": dg.MetadataValue.md(markdown_table(accuracy(found)))}),
            Made(found.comparisons),
            Made(decision, {"gate": found.decision.reason, "passed": found.decision.passed}),
        )

    @newest_day_asset(
        scope,
        LIVE,
        deps=(RELEASE_DECISIONS.name, CANDIDATE),
        group_name=GROUP,
        kinds=KINDS,
        description="The live release's pointer: moved to the newest day's release if that passed and does not lose to the live one.",
    )
    def live_release(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None]]:
        day = partition_days(context)[-1]
        found = consider(
            scope.candidates.read(day),
            decisions=scope.artefact(RELEASE_DECISIONS.name).read(day),
            tables=TrainingTables(*(scope.artefact(name).read(day) for name in TABLES)),
            releases=scope.releases,
            config=config,
        )
        context.log.info(found.reason)
        live_id = scope.releases.current_id() or "none"
        yield dg.MaterializeResult(metadata={"live": live_id, "is live": found.is_live, "reason": found.reason})

    return [candidate, trial, live_release]


def has_its_release(scope: Scope, day: date) -> bool:
    """Whether the release that a day's trial made is there and whole; true for a day without a candidate."""
    release_id = scope.store.read(RELEASE_DECISIONS, day=day).column("candidate_release_id")[0].as_py()
    return release_id is None or scope.releases.is_whole(release_id)


def read_last_full_fit(scope: Scope, run: DayRun) -> LastFullFit | None:
    """What the day's last full fit came to; None on a full fit's own day."""
    base = scope.last_full_fit(run.day)
    return LastFullFit(scope.candidates.read(base), scope.artefact(RELEASE_DECISIONS.name).read(base)) if base else None


def training_metadata(found: TrainingOutcome) -> dict[str, dg.MetadataValue | str | int]:
    """Where it started, where time was cut, how training went, how much each relation counts."""
    if isinstance(found, NoCandidate):
        return {"no candidate": found.reason}
    series = {"loss": [epoch.loss for epoch in found.history]}
    validation = [epoch.validation for epoch in found.history if epoch.validation is not None]
    if validation:
        series["validation NDCG@10"] = validation
    model = found.evaluated.model
    relations = model.gnn.relation_weights if model.gnn else {}
    return {
        "started from": found.last_full_fit.isoformat() if found.last_full_fit else "nothing: a full fit",
        "training curve": png(line_plot(series, x_label="epoch")),
        "epochs": model.gnn.config.epochs if model.gnn else 0,
        "stages": dg.MetadataValue.md(markdown_table(stages(model.choices))),
        "validation from": found.split.validation_start.isoformat(),
        "test from": found.split.test_start.isoformat(),
        "relation weights": dg.MetadataValue.md(
            markdown_table(pa.table({"relation": list(relations), "weight": list(relations.values())}).sort_by([("weight", "descending")]))
        ),
    }


def stages(choices: Choices) -> pa.Table:
    """What each stage came to on the validation slice, and what each model counts in the pool."""
    weight = {name: opinion.weight for name, opinion in choices.opinions.items()}
    rows = [{**asdict(stage), "weight": weight.get(stage.name)} for stage in choices.stages]
    return pa.Table.from_pylist(rows) if rows else pa.table({"name": list(weight), "weight": list(weight.values())})


def accuracy(found: Trial) -> pa.Table:
    """Every model's NDCG@10 over all users, best first."""
    table = found.evaluation
    chosen = table.filter(pc.and_(pc.equal(table.column("segment"), "all"), pc.equal(table.column("metric"), "ndcg@10")))
    return chosen.select(["model", "value", "ci_low", "ci_high", "num_users"]).sort_by([("value", "descending")])


def made_from(config: PipelineConfig, item_embeddings: pa.Table) -> dict[str, str]:
    """What a release's manifest says of its making."""
    settings = config.model_dump_json(include={"model", "hybrid", "graph", "interests", "reviews", "evaluation"})
    return {"space_id": space_of(item_embeddings, name=ITEM_EMBEDDINGS.name) or "", "config": settings}
