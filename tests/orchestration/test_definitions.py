"""What Dagster shows: every asset described, owned, grouped, and the graph as it was reviewed."""

from datetime import UTC, date, datetime

import dagster as dg
import pytest

from ml.contracts import CONTRACTS
from orchestration.definitions import build_definitions
from orchestration.jobs import BEHAVIOUR_GROUPS, NIGHTLY, REFRESH
from orchestration.partitions import DAYS_PER_RUN
from orchestration.sensors import landing_sensor

GRAPH = {
    "encoder": {"items", "interactions", "user_texts"},
    "item_embeddings": {"encoder", "items"},
    "user_text_embeddings": {"encoder", "user_texts"},
    "interest_points": {"encoder", "items", "item_embeddings"},
    "review_signals": {"encoder", "reviews", "interactions"},
    "reviewer_signals": {"encoder", "reviews", "interactions"},
    "text_interests": {"encoder", "user_texts", "interest_points", "review_signals"},
    "user_interests": {"interactions", "item_interests", "text_interests", "review_signals", "reviewer_signals"},
    "knowledge_graph": {"items", "raw_knowledge"},
    "interest_graph": {
        "interactions",
        "items",
        "item_embeddings",
        "interest_points",
        "item_interests",
        "user_interests",
        "knowledge_graph",
        "review_signals",
        "reviewer_signals",
    },
    "communities": {"interest_graph", "interest_points"},
    "community_members": {"interest_graph", "interest_points"},
    "candidate": {
        "interactions",
        "items",
        "item_embeddings",
        "item_interests",
        "text_interests",
        "knowledge_graph",
        "review_signals",
        "interest_points",
    },
    "evaluation": {
        "candidate",
        "interactions",
        "items",
        "item_embeddings",
        "item_interests",
        "text_interests",
        "knowledge_graph",
        "review_signals",
        "interest_points",
    },
    "similar_items": {"release_decisions", "item_embeddings"},
    "live_release": {"release_decisions", "candidate"},
    "online_features": {"user_profiles", "item_features", "recommendation_lists", "live_release"},
    "ranking_quality": {"evaluation"},
}


@pytest.fixture(scope="module")
def definitions(new_world) -> tuple[dg.Definitions, object]:
    world = new_world("definitions", num_days=8)
    scope = world.scope()
    return build_definitions(scope), scope


def executable(definitions: dg.Definitions) -> dict[str, object]:
    return {node.key.path[-1]: node for node in definitions.resolve_asset_graph().asset_nodes if node.is_executable}


def test_every_asset_says_what_it_is(definitions) -> None:
    nodes = executable(definitions[0])
    assert set(CONTRACTS) <= set(nodes)
    for name, node in nodes.items():
        assert node.key.path[0] == "shop", name
        for found in (node.description, node.group_name, node.owners, node.kinds):
            assert found, name
        assert node.partitions_def or name == "reconciliation"
        if name in CONTRACTS:
            shown = [column.name for column in node.metadata["dagster/column_schema"].columns]
            assert shown == [column.name for column in CONTRACTS[name].columns]


NEWEST_DAY_ONLY = {"live_release", "online_features", "ranking_quality"}
CHOSEN_DAYS = [date(2026, 6, 23), date(2026, 6, 24), date(2026, 6, 30), date(2026, 7, 1), date(2026, 10, 25)]


@pytest.mark.parametrize("day", CHOSEN_DAYS, ids=str)
def test_every_edge_names_its_partitions(definitions, day) -> None:
    """The first day, the next, a month's end, the first of a month, and a day on which clocks change somewhere."""
    scope = definitions[1]
    graph = definitions[0].resolve_asset_graph()
    now = datetime(2026, 12, 1, tzinfo=UTC)
    asked = scope.partitions.subset_with_partition_keys([day.isoformat()])
    num_edges = 0
    for name, node in executable(definitions[0]).items():
        for parent in node.parent_keys if node.partitions_def else ():
            mapping = graph.get_partition_mapping(node.key, parent)
            assert isinstance(mapping, dg.TimeWindowPartitionMapping), (name, parent)
            found = mapping.get_upstream_mapped_partitions_result_for_partitions(asked, scope.partitions, scope.partitions, now)
            assert list(found.partitions_subset.get_partition_keys()) == [day.isoformat()], (name, parent)
            assert not found.required_but_nonexistent_subset.get_partition_keys()
            num_edges += 1
    assert num_edges > 60


def test_an_asset_says_whose_history_it_reads(definitions) -> None:
    said = {name: str(node.metadata.get("reads every day through its own of")) for name, node in executable(definitions[0]).items()}
    assert "interactions" in said["user_interests"]
    assert "item_interests" not in said["user_interests"]
    assert "item_popularity_daily" in said["recommendations"]


def test_cheap_layers_backfill_as_one_range_and_heavy_ones_in_chunks(definitions) -> None:
    for name, node in executable(definitions[0]).items():
        if not node.partitions_def:
            continue
        whole = node.group_name in BEHAVIOUR_GROUPS
        assert node.backfill_policy.max_partitions_per_run == (None if whole else DAYS_PER_RUN), name


def test_every_asset_of_a_day_has_a_version_of_its_code(definitions) -> None:
    versions = {name: node.code_version for name, node in executable(definitions[0]).items()}
    # These look at what is now, or draw a page for people.
    assert {name for name, version in versions.items() if not version} == {*NEWEST_DAY_ONLY, "reconciliation"}


@pytest.mark.parametrize("name", sorted(GRAPH))
def test_edges_are_as_reviewed(definitions, name) -> None:
    assert {key.path[-1] for key in executable(definitions[0])[name].parent_keys} == GRAPH[name]


def test_one_job_holds_everything_and_runs_nightly(definitions) -> None:
    job = definitions[0].resolve_job_def(REFRESH.name)
    assert {key.path[-1] for key in job.asset_layer.executable_asset_keys} == set(executable(definitions[0]))
    schedule = definitions[0].resolve_schedule_def(NIGHTLY.name)
    assert schedule.cron_schedule == "0 2 * * *"
    with dg.build_schedule_context(scheduled_execution_time=datetime(2026, 7, 1, 2, tzinfo=UTC)) as context:
        (request,) = schedule.evaluate_tick(context).run_requests
    assert request.partition_key == "2026-06-30"


def test_the_sensor_asks_once_for_new_files(definitions, monkeypatch) -> None:
    scope = definitions[1]
    sensor = landing_sensor(scope)
    repository = definitions[0].get_repository_def()
    with dg.DagsterInstance.ephemeral() as instance:
        first = sensor.evaluate_tick(dg.build_sensor_context(instance=instance, repository_def=repository))
        assert [(request.job_name, request.partition_key) for request in first.run_requests] == [(REFRESH.name, "2026-06-30")]
        again = sensor.evaluate_tick(dg.build_sensor_context(instance=instance, repository_def=repository, cursor=first.cursor))
        assert not again.run_requests
        assert again.skip_message == "no landing file changed"
        (scope.dataset.path.parent / "events" / f"{date(2026, 6, 30)}.csv.gz").touch()
        changed = sensor.evaluate_tick(dg.build_sensor_context(instance=instance, repository_def=repository, cursor=first.cursor))
        assert changed.run_requests
