"""Feast's own server behind our guard: keys, entities, errors and logs, in a process of its own."""

import json
import re
import subprocess
import sys
import urllib.error
import urllib.request
from datetime import UTC, datetime

import pytest

from feature_repo.publish import publish
from ml.config import PipelineConfig
from ml.errors import AccessError
from orchestration.feature_service import RULES, guarded_feature_app, serve_features
from serving.access.keys import create_key

from .conftest import FIRST, REPOSITORY

CHILD = """
import sys
from pathlib import Path
from ml.config import DatasetHome, PipelineConfig
from orchestration.feature_service import serve_features
config = PipelineConfig(serving={"max_entities": 3, "max_body_bytes": 2000})
serve_features(DatasetHome(Path(sys.argv[1]), sys.argv[2]), config=config, host="127.0.0.1", port=0)
"""


@pytest.fixture
def published(world):
    world.write(FIRST, users={"ann@example.com": "tea", "李雷": "摄影"})
    publish(world.home, config=PipelineConfig().features, day=FIRST)
    return world


@pytest.fixture
def served(published, tmp_path):
    """The port of a running server, and the file of its stderr."""
    log = tmp_path / "stderr.jsonl"
    arguments = [sys.executable, "-c", CHILD, str(published.home.root), published.home.dataset]
    with log.open("w") as handle:
        server = subprocess.Popen(arguments, cwd=REPOSITORY, stderr=handle)
    try:
        while not (found := re.search(r"running on http://127.0.0.1:(\d+)", log.read_text())):
            assert server.poll() is None, log.read_text()
        yield int(found.group(1)), log
    finally:
        server.terminate()
        server.wait(timeout=30)


def ask(port, path, body=None, headers=None):
    data = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}", data=data, headers={"Content-Type": "application/json", **(headers or {})}
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def wish(*users, service="user_profile"):
    return {"feature_service": service, "entities": {"user_id": list(users)}}


def test_feasts_server_asks_for_keys_and_keeps_to_the_limits(published, served):
    port, log = served
    path = "/get-online-features"
    # Without keys this machine is answered, and no page of another site.
    status, text = ask(port, path, wish("李雷", "nobody"))
    assert (status, json.loads(text)["results"][0]["values"]) == (200, ["李雷", "nobody"])
    assert ask(port, path, wish("李雷"), {"Origin": "https://evil.example"})[0] == 403
    # From the first key on, every route asks for one.
    now = datetime.now(UTC)
    reader = create_key(published.home.access, name="reader", scopes=["read"], now=now).text
    writer = create_key(published.home.access, name="writer", scopes=["feedback"], now=now).text
    held = {"Authorization": f"Bearer {reader}"}
    for closed, body in (
        (path, wish("李雷")),
        ("/docs", None),
        ("/openapi.json", None),
        ("/metrics", None),
        ("/push", {}),
        ("/chat", None),
    ):
        assert ask(port, closed, body)[0] == 401, closed
    assert ask(port, "/health")[0] == 200
    assert [ask(port, path, wish("李雷"), {"X-API-Key": key})[0] for key in (reader, writer)] == [200, 403]
    assert ask(port, path, wish("a", "b", "c"), held)[0] == 200
    status, text = ask(port, path, wish("a", "b", "c", "d"), held)
    assert (status, "4 entities were asked for, one request may ask for 3" in text) == (422, True)
    assert ask(port, path, wish("x" * 2000), held)[0] == 413
    # Feast's own errors keep the form its clients read, and show no stack.
    status, text = ask(port, path, wish("ann@example.com", service="no_such"), held)
    assert (status, "no_such" in text, "Traceback" in text) == (404, True, False)
    status, text = ask(port, path, {"feature_service": "user_profile", "entities": {"no_key": ["ann@example.com"]}}, held)
    assert status >= 400
    assert "Traceback" not in text
    for removed in ("/push", "/write-to-online-store", "/materialize", "/materialize-incremental"):
        assert ask(port, removed, {}, held)[0] == 404, removed
    status, text = ask(port, "/metrics", None, held)
    assert (status, 'route="/get-online-features",status="200"' in text) == (200, True)
    written = log.read_text()
    for hidden in ("ann@example.com", "李雷", reader, writer, "Traceback"):
        assert hidden not in written, hidden
    assert all(json.loads(line) for line in written.splitlines())


def test_every_route_of_feasts_server_has_a_scope(published):
    """`guarded` refuses to start where Feast grew a route that the table does not know."""
    assert guarded_feature_app(published.home, config=PipelineConfig())
    assert RULES.table["POST", "/get-online-features"] == "read"
    with pytest.raises(AccessError, match="holds no live API key"):
        serve_features(published.home, config=PipelineConfig(), host="0.0.0.0", port=0)
