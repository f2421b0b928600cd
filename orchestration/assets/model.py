"""The candidate of a day, its trial beside the baselines, and the gate's decision."""

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc

from ml.config import PipelineConfig
from ml.contracts.meaning import ITEM_EMBEDDINGS
from ml.contracts.outputs import EVALUATION, MODEL_COMPARISONS, RELEASE_DECISIONS
from ml.contracts.spaces import space_of
from ml.days import as_of
from ml.training.candidate import Candidate, NoCandidate, TrainingOutcome, TrainingTables, train_candidate
from ml.training.model_card import model_card
from ml.training.releasing import decide, in_force_before, undecided
from ml.training.trial import Trial, put_to_trial, untried
from orchestration.metadata import line_plot, markdown_table, png
from orchestration.progress import logged_progress
from orchestration.scope import Scope
from orchestration.table_assets import OWNER, partition_day, table_assets

GROUP = "model"
KINDS = {"python", "torch"}


def model_assets(scope: Scope) -> list[dg.AssetsDefinition]:
    """Train, measure, decide."""
    config = scope.config
    tables = ("interactions", "items", "item_embeddings", "item_interests", "knowledge_graph")

    @dg.asset(
        key=scope.key("candidate"),
        ins={name: dg.AssetIn(key=scope.key(name)) for name in tables},
        partitions_def=scope.partitions,
        io_manager_key="candidates",
        group_name=GROUP,
        owners=[OWNER],
        kinds=KINDS,
        description="The day's interest-graph GNN, fitted three times: to choose, to be measured, to be released.",
    )
    def candidate(
        context: dg.AssetExecutionContext,
        interactions: pa.Table,
        items: pa.Table,
        item_embeddings: pa.Table,
        item_interests: pa.Table,
        knowledge_graph: pa.Table,
    ) -> dg.Output[TrainingOutcome]:
        found = train_candidate(
            TrainingTables(interactions, items, item_embeddings, item_interests, knowledge_graph),
            config=config,
            as_of=as_of(partition_day(context)),
            progress=logged_progress(context.log.info, "epochs"),
        )
        return dg.Output(found, metadata=training_metadata(found))

    @table_assets(scope, (EVALUATION, MODEL_COMPARISONS, RELEASE_DECISIONS), name="trial", group=GROUP, kinds={"python", "parquet"})
    def trial(
        context: dg.AssetExecutionContext,
        candidate: TrainingOutcome,
        interactions: pa.Table,
        items: pa.Table,
        item_embeddings: pa.Table,
        item_interests: pa.Table,
        knowledge_graph: pa.Table,
    ) -> tuple[dg.Output[pa.Table], dg.Output[pa.Table], dg.Output[pa.Table]]:
        day = partition_day(context)
        if isinstance(candidate, NoCandidate):
            found = untried(candidate.reason)
            return (
                dg.Output(found.evaluation),
                dg.Output(found.comparisons),
                dg.Output(undecided(found, day=day, releases=scope.releases, store=scope.store)),
            )
        assert isinstance(candidate, Candidate)  # noqa: S101  the only other outcome
        found = put_to_trial(
            candidate,
            tables=TrainingTables(interactions, items, item_embeddings, item_interests, knowledge_graph),
            live=in_force_before(day, releases=scope.releases, store=scope.store),
            config=config,
            progress=logged_progress(context.log.info, "test users"),
        )
        decision = decide(
            found,
            day=day,
            candidate=scope.home.candidates / day.isoformat(),
            releases=scope.releases,
            store=scope.store,
            made_from=made_from(config, item_embeddings),
            card=model_card(candidate, trial=found, config=config, dataset=scope.dataset.name),
        )
        return (
            dg.Output(found.evaluation, metadata={"accuracy": dg.MetadataValue.md(markdown_table(accuracy(found)))}),
            dg.Output(found.comparisons),
            dg.Output(decision, metadata={"gate": found.decision.reason, "passed": found.decision.promoted}),
        )

    return [candidate, trial]


def training_metadata(found: Candidate | NoCandidate) -> dict[str, dg.MetadataValue | str | int]:
    """Where time was cut, how training went, how much each relation counts."""
    if isinstance(found, NoCandidate):
        return {"no candidate": found.reason}
    series = {"loss": [epoch.loss for epoch in found.history]}
    validation = [epoch.validation_ndcg for epoch in found.history if epoch.validation_ndcg is not None]
    if validation:
        series["validation NDCG@10"] = validation
    relations = found.evaluated.model.relation_weights
    return {
        "training curve": png(line_plot(series, x_label="epoch")),
        "epochs": found.evaluated.model.config.epochs,
        "validation from": found.split.validation_start.isoformat(),
        "test from": found.split.test_start.isoformat(),
        "relation weights": dg.MetadataValue.md(
            markdown_table(pa.table({"relation": list(relations), "weight": list(relations.values())}).sort_by([("weight", "descending")]))
        ),
    }


def accuracy(found: Trial) -> pa.Table:
    """Every model's NDCG@10 over all users, best first."""
    table = found.evaluation
    chosen = table.filter(pc.and_(pc.equal(table.column("segment"), "all"), pc.equal(table.column("metric"), "ndcg@10")))
    return chosen.select(["model", "value", "ci_low", "ci_high", "num_users"]).sort_by([("value", "descending")])


def made_from(config: PipelineConfig, item_embeddings: pa.Table) -> dict[str, str]:
    """What a release's manifest says of its making."""
    return {"space_id": space_of(item_embeddings, name=ITEM_EMBEDDINGS.name) or "", "config": config.model_dump_json()}
