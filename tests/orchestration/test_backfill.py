"""A three-day backfill through Dagster's GraphQL API, with the real webserver and daemon."""

import json
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from ml.contracts import CONTRACTS

TIMEOUT_SECONDS = 900

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
ASSETS = "{ assetNodes { assetKey { path } isExecutable } }"


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


@pytest.fixture
def dagster_ui(new_world, command, repository) -> Iterator[tuple[Any, Graphql]]:
    """`make dev` in all but name: UI and daemon on a free loopback port."""
    world = new_world("backfill")
    assert command(world, "prepare").returncode == 0
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = (world.home / "dev.log").open("w")
    program = [str(repository / ".venv/bin/dagster"), "dev", "--workspace", "workspace.yaml", "--host", "127.0.0.1", "--port", str(port)]
    process = subprocess.Popen(program, env=world.environ, cwd=repository, stdout=log, stderr=subprocess.STDOUT)
    try:
        graphql = Graphql(port)
        wait_until(lambda: graphql(ASSETS)["assetNodes"], seconds=180)
        yield world, graphql
    finally:
        process.terminate()
        process.wait(timeout=60)
        log.close()


def test_three_days_from_the_api_end_in_success(dagster_ui) -> None:
    world, graphql = dagster_ui
    days = [world.first + timedelta(days=offset) for offset in (7, 8, 9)]
    # The days before are one range of the two cheap layers; the chain itself is asked for three days.
    history = [world.first + timedelta(days=offset) for offset in range(7)]
    keys = [node["assetKey"] for node in graphql(ASSETS)["assetNodes"] if node["isExecutable"]]
    behaviour = [key for key in keys if key["path"][-1] in BEHAVIOUR]

    assert backfill(graphql, assets=behaviour, days=history) == 1
    assert backfill(graphql, assets=keys, days=days) <= 1 + len(days)

    store = world.scope().store
    for day in days:
        for name in ("interactions", "user_interests", "interest_graph", "evaluation", "recommendations", "user_profiles", "drift"):
            assert store.read(CONTRACTS[name], day=day).num_rows > 0, (name, day)


BEHAVIOUR = {name for name, contract in CONTRACTS.items() if contract.layer in {"raw", "mart"}} | {
    "stg_events",
    "stg_items",
    "stg_users",
    "stg_knowledge",
    "int_events_deduplicated",
    "int_sessions",
}


def backfill(graphql: Graphql, *, assets: list[dict[str, Any]], days: list[Any]) -> int:
    """Launch a backfill, wait for its success, return the number of runs it took."""
    params = {
        "partitionNames": [day.isoformat() for day in days],
        "assetSelection": [{"path": key["path"]} for key in assets],
        "title": "test",
    }
    launched = graphql(LAUNCH, params=params)["launchPartitionBackfill"]
    assert launched["__typename"] == "LaunchBackfillSuccess", launched

    def ended() -> dict[str, Any] | None:
        found = graphql(STATUS, id=launched["backfillId"])["partitionBackfillOrError"]
        return found if found["status"] not in {"REQUESTED", "CANCELING"} else None

    found = wait_until(ended, seconds=TIMEOUT_SECONDS, pause=3.0)
    assert found["status"] == "COMPLETED_SUCCESS", found
    assert {run["status"] for run in found["runs"]} == {"SUCCESS"}
    return len(found["runs"])
