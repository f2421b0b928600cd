"""What Dagster shows: every asset described, owned, grouped, and the graph as it was reviewed."""

from datetime import UTC, date, datetime

import dagster as dg
import pytest

from ml.contracts import CONTRACTS
from orchestration.definitions import build_definitions
from orchestration.jobs import NIGHTLY, REFRESH
from orchestration.sensors import landing_sensor

GRAPH = {
    "item_embeddings": {"items"},
    "user_text_embeddings": {"user_texts"},
    "interest_points": {"items", "item_embeddings"},
    "user_interests": {"interactions", "item_interests"},
    "knowledge_graph": {"items", "raw_knowledge"},
    "candidate": {"interactions", "items", "item_embeddings", "item_interests", "knowledge_graph"},
    "evaluation": {"candidate", "interactions", "items", "item_embeddings", "item_interests", "knowledge_graph"},
    "similar_items": {"release_decisions", "item_embeddings"},
    "online_features": {"user_profiles", "item_features", "recommendation_lists"},
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
        for found in (node.description, node.group_name, node.owners, node.kinds, node.partitions_def):
            assert found, name
        if name in CONTRACTS:
            shown = [column.name for column in node.metadata["dagster/column_schema"].columns]
            assert shown == [column.name for column in CONTRACTS[name].columns]


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
        assert [request.partition_key for request in first.run_requests] == ["2026-06-30"]
        again = sensor.evaluate_tick(dg.build_sensor_context(instance=instance, repository_def=repository, cursor=first.cursor))
        assert not again.run_requests
        assert again.skip_message == "no landing file changed"
        (scope.dataset.path.parent / "events" / f"{date(2026, 6, 30)}.csv.gz").touch()
        changed = sensor.evaluate_tick(dg.build_sensor_context(instance=instance, repository_def=repository, cursor=first.cursor))
        assert changed.run_requests
