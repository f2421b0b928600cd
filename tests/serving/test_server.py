"""A real server in a process of its own: what uvicorn adds, what it must not say, and where it may listen."""

import http.client
import json
import re
import signal
import socket
import subprocess
import sys
import threading

import pytest

from serving.access.keys import create_key

from .conftest import NOW

CHILD = """
import sys
from pathlib import Path
from fastapi import FastAPI, Request
from ml.config.pipeline import ServingConfig
from ml.errors import AccessError
from serving.access.rules import RouteRules
from serving.metrics import ServiceMetrics
from serving.server import guarded, serve, utc_now

app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

@app.get("/healthz")
def health(): return "ok"

@app.post("/v1/echo")
async def echo(request: Request): return len(await request.body())

@app.get("/v1/broken/{name}")
def broken(name: str): raise RuntimeError(name)

access, host = Path(sys.argv[1]), sys.argv[2]
config = ServingConfig(max_body_bytes=10_000, max_connections=int(sys.argv[3]))
rules = RouteRules({("GET", "/healthz"): "open", ("POST", "/v1/echo"): "read", ("GET", "/v1/broken/{name}"): "read"})
whole = guarded(app, rules=rules, access=access, config=config, metrics=ServiceMetrics(now=utc_now))
try:
    serve(whole, host=host, port=0, access=access, config=config)
except AccessError as error:
    sys.exit(f"refused: {error}")
"""


class Server:
    """A served application, its port, and what it wrote to stderr."""

    def __init__(self, process):
        self.process = process
        self.stderr = []
        self.port = None
        for line in process.stderr:
            self.stderr.append(line)
            found = re.search(r"running on http://[^:]+:(\d+)", line)
            if found:
                self.port = int(found.group(1))
                break
        self._reader = threading.Thread(target=lambda: self.stderr.extend(process.stderr))
        self._reader.start()

    def ask(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body=body, headers=headers or {}, encode_chunked=not isinstance(body, bytes | None))
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            connection.close()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=30)
        self._reader.join(timeout=30)
        return code


@pytest.fixture
def start(access, repository):
    servers = []

    def begin(host="127.0.0.1", max_connections=50):
        arguments = [sys.executable, "-c", CHILD, str(access), host, str(max_connections)]
        server = Server(subprocess.Popen(arguments, cwd=repository, stderr=subprocess.PIPE, text=True))
        servers.append(server)
        return server

    yield begin
    for server in servers:
        if server.process.poll() is None:
            server.stop()


def test_a_served_application_is_guarded_and_says_little(access, start):
    key = create_key(access, name="a", scopes=["read"], now=NOW).text
    server = start()
    held = {"Authorization": f"Bearer {key}"}
    assert server.ask("GET", "/healthz")[0] == 200
    assert server.ask("POST", "/v1/echo", b"x" * 10_000, held)[::2] == (200, b"10000")
    # In chunks, without Content-Length, a body is bounded all the same.
    chunked = {**held, "Transfer-Encoding": "chunked"}
    assert server.ask("POST", "/v1/echo", iter([b"x" * 5000] * 2), chunked)[::2] == (200, b"10000")
    status, headers, body = server.ask("POST", "/v1/echo", iter([b"x" * 5000, b"x" * 5001]), chunked)
    assert (status, json.loads(body)["type"]) == (413, "urn:interest-graph:problem:body-too-large")
    assert "server" not in {name.lower() for name in headers}
    status, headers, body = server.ask("GET", "/v1/broken/ann@example.com", headers=held)
    assert (status, headers["content-type"]) == (500, "application/problem+json")
    assert b"Traceback" not in body
    assert b"ann@example.com" not in body
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Key": "eA==", "Sec-WebSocket-Version": "13"}
    assert server.ask("GET", "/v1/echo", headers={**held, **upgrade})[0] == 405
    # Nobody becomes another caller by a header.
    assert server.ask("POST", "/v1/echo", b"", {"X-Forwarded-For": "203.0.113.7"})[0] == 401
    assert server.stop() == -signal.SIGTERM  # after an orderly end: uvicorn hands the signal on
    lines = [json.loads(line) for line in server.stderr]
    assert [line["status"] for line in lines if "route" in line] == [200, 200, 200, 413, 500, 405, 401]
    assert all("level" in line for line in lines if "route" not in line)
    written = "".join(server.stderr)
    for hidden in ("ann@example.com", "203.0.113.7", "Traceback", key):
        assert hidden not in written


def test_connections_are_bounded_and_free_again(start):
    server = start(max_connections=5)
    idle = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(5)]
    assert server.ask("GET", "/healthz")[0] == 503
    for connection in idle:
        connection.close()
    statuses = {server.ask("GET", "/healthz")[0] for _ in range(20)}
    assert 200 in statuses


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
def test_beyond_loopback_nothing_starts_without_keys(start, host):
    server = start(host)
    assert server.process.wait(timeout=60) == 1
    assert "is not loopback" in "".join(server.stderr)
    assert server.port is None


def test_beyond_loopback_a_key_opens_the_door_to_its_holder_only(access, start):
    key = create_key(access, name="a", scopes=["read"], now=NOW).text
    server = start("0.0.0.0")
    assert server.ask("POST", "/v1/echo", b"x")[0] == 401
    assert server.ask("POST", "/v1/echo", b"x", {"X-API-Key": key})[0] == 200
