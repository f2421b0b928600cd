"""Backfills through Dagster's GraphQL API, with the real webserver and daemon."""

import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import dagster as dg
import pytest

from ml.contracts import CONTRACTS
from orchestration.table_assets import RECOMPUTE_TAG

TIMEOUT_SECONDS = 3600

LAUNCH = """
mutation ($params: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $params) {
    __typename
    ... on LaunchBackfillSuccess { backfillId }
    ... on PythonError { message }
  }
}
"""
STATUS = """
query ($id: String!) {
  partitionBackfillOrError(backfillId: $id) {
    __typename
    ... on PartitionBackfill { status error { message } runs(limit: 50) { status pipelineName tags { key value } } }
  }
}
"""
ASSETS = "{ assetNodes { assetKey { path } isExecutable isPartitioned } }"


class Graphql:
    """A client of the webserver, standard library only."""

    def __init__(self, port: int) -> None:
        self.address = f"http://127.0.0.1:{port}/graphql"

    def __call__(self, query: str, **variables: Any) -> dict[str, Any]:
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(self.address, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as response:
            answer = json.loads(response.read())
        assert "errors" not in answer, answer
        return answer["data"]


def wait_until(condition, *, seconds: float, pause: float = 1.0) -> Any:
    """The first truthy value of `condition`; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            found = condition()
        except (urllib.error.URLError, ConnectionError):
            found = None
        if found:
            return found
        time.sleep(pause)
    raise AssertionError(f"nothing within {seconds} s")


@contextmanager
def dagster_ui(world, *, repository) -> Iterator[Graphql]:
    """`make dev` in all but name: UI and daemon of a world on a free loopback port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = (world.home / "dev.log").open("w")
    program = [str(repository / ".venv/bin/dagster"), "dev", "--workspace", "workspace.yaml", "--host", "127.0.0.1", "--port", str(port)]
    process = subprocess.Popen(program, env=world.environ, cwd=repository, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        graphql = Graphql(port)
        wait_until(lambda: graphql(ASSETS)["assetNodes"], seconds=180)
        yield graphql
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=60)
        # What the UI started ends by an interrupt, which a test run in the background may have inherited as ignored.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        log.close()


def test_three_days_of_an_empty_home_from_the_api(new_world, command, repository) -> None:
    world = new_world("backfill", num_days=12)
    assert command(world, "prepare").returncode == 0
    with dagster_ui(world, repository=repository) as graphql:
        # One run of raw and dbt, one of everything behind.
        assert backfill(graphql, days=[world.day(number) for number in (7, 8, 9)]) == 2
    store = world.scope().store
    for name in ("interactions", "user_interests", "interest_graph", "evaluation", "recommendations", "user_profiles", "drift"):
        # The days before were made on the way, as far as these three stand on them.
        assert all(store.read(CONTRACTS[name], day=world.day(number)).num_rows for number in (7, 8, 9)), name
    assert store.days("interactions")[0] == world.first


@pytest.mark.slow
def test_sixty_days_from_the_api_in_two_orders(new_world, command, repository, tmp_path, record_property) -> None:
    """Runs and time go into the test report; hashes of every artefact of every day are equal."""
    world = new_world("sixty", num_days=60)
    days = [world.day(number) for number in range(60)]
    assert command(world, "prepare").returncode == 0
    with dagster_ui(world, repository=repository) as graphql:
        started = time.monotonic()
        num_runs = backfill(graphql, days=days)
        record_property("sixty days", f"{num_runs} runs, {time.monotonic() - started:.0f} s")
    # One of raw and dbt, and seven days a run.
    assert num_runs == 1 + 9
    require_all_materialized(world, days)

    other = world.elsewhere(tmp_path / "home")
    assert command(other, "prepare").returncode == 0
    with dagster_ui(other, repository=repository) as graphql:
        for some, recompute in ((days[30:], False), (days[:40], False), (days[20:34], True)):
            backfill(graphql, days=some, recompute=recompute)
    require_all_materialized(other, days)
    assert other.hashes() == world.hashes()


def require_all_materialized(world, days: list[Any]) -> None:
    """Every partition of every partitioned asset, as Dagster counts them."""
    with dg.DagsterInstance.from_config(world.environ["DAGSTER_HOME"]) as instance:
        for name in (*CONTRACTS, "candidate", "live_release", "online_features"):
            found = instance.get_materialized_partitions(dg.AssetKey(["shop", name]))
            assert {day.isoformat() for day in days} <= found, name


def backfill(graphql: Graphql, *, days: list[Any], recompute: bool = False) -> int:
    """Launch a backfill of every partitioned asset, wait for its success, return the number of runs it took."""
    params = {
        "partitionNames": [day.isoformat() for day in days],
        "assetSelection": [{"path": node["assetKey"]["path"]} for node in graphql(ASSETS)["assetNodes"] if is_partitioned(node)],
        "title": "test",
        "tags": [{"key": RECOMPUTE_TAG, "value": "true"}] if recompute else [],
    }
    launched = graphql(LAUNCH, params=params)["launchPartitionBackfill"]
    assert launched["__typename"] == "LaunchBackfillSuccess", launched

    def ended() -> dict[str, Any] | None:
        found = graphql(STATUS, id=launched["backfillId"])["partitionBackfillOrError"]
        return found if found["status"] not in {"REQUESTED", "CANCELING"} else None

    found = wait_until(ended, seconds=TIMEOUT_SECONDS, pause=3.0)
    assert found["status"] == "COMPLETED_SUCCESS", found
    assert {run["status"] for run in found["runs"]} == {"SUCCESS"}
    # At the first try.
    assert not [tag for run in found["runs"] for tag in run["tags"] if tag["key"] == "dagster/retry_number"]
    return len(found["runs"])


def is_partitioned(node: dict[str, Any]) -> bool:
    """Whether an asset has days."""
    return bool(node["isExecutable"] and node["isPartitioned"])
