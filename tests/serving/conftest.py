"""A tiny application behind the guard, clocks that stand still, and a client that speaks plain ASGI."""

import asyncio
import io
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel, ConfigDict, Field

from ml.config.pipeline import ServingConfig
from serving.access.guard import Guard
from serving.access.keys import KeyRing, create_key
from serving.access.rules import RouteRules
from serving.logs import AccessLog
from serving.metrics import ServiceMetrics
from serving.observation import Observation
from serving.problems import answer_with_problems
from serving.record import record_of

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
LOCAL = ("127.0.0.1", 8000)
RULES = {
    ("GET", "/healthz"): "open",
    ("GET", "/readyz"): "open",
    ("GET", "/v1/items/{item_id}"): "read",
    ("POST", "/v1/echo"): "read",
    ("POST", "/v1/feedback"): "feedback",
    ("POST", "/v1/slow"): "read",
    ("GET", "/v1/broken"): "read",
    ("GET", "/docs"): "read",
    ("GET", "/openapi.json"): "read",
}


@dataclass
class Clock:
    """Wall clock and stop watch in one; moves only by hand."""

    seconds: float = 0.0

    def monotonic(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return NOW + timedelta(seconds=self.seconds)


class Wish(BaseModel):
    """A body with rules, as the service's own have them."""

    model_config = ConfigDict(extra="forbid")
    text: str = ""
    k: int = Field(10, ge=1, le=100)


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self):
        return json.loads(self.body)


@dataclass
class Service:
    """The tiny application behind guard and observation."""

    app: FastAPI
    whole: Observation
    keys: KeyRing
    log: io.StringIO
    metrics: ServiceMetrics
    clock: Clock
    seen: list[dict[str, str]] = field(default_factory=list)
    release: asyncio.Event = field(default_factory=asyncio.Event)

    def ask(self, method, path, *, key=None, headers=None, chunks=(b"",), client="127.0.0.1", server=LOCAL):
        """One request from a loop of its own."""
        return asyncio.run(self.request(method, path, key=key, headers=headers, chunks=chunks, client=client, server=server))

    async def request(self, method, path, *, key=None, headers=None, chunks=(b"",), client="127.0.0.1", server=LOCAL):
        """One request; `chunks` come without Content-Length, None is a client that never goes on."""
        given = {"host": "127.0.0.1:8000", "content-type": "application/json"} | ({"authorization": f"Bearer {key}"} if key else {})
        given |= headers or {}
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [(name.encode(), value.encode("latin-1")) for name, value in given.items()],
            "client": (client, 50000),
            "server": server,
        }
        left = list(chunks)
        sent = []

        async def receive():
            if not left:
                return {"type": "http.disconnect"}
            chunk = left.pop(0)
            if chunk is None:
                await asyncio.sleep(3600)
            return {"type": "http.request", "body": chunk, "more_body": bool(left)}

        async def send(message):
            sent.append(message)

        await self.whole(scope, receive, send)
        if not sent:
            return Answer(0, {}, b"")
        head = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        return Answer(sent[0]["status"], head, b"".join(message.get("body", b"") for message in sent[1:]))

    def lines(self):
        """The access log."""
        return [json.loads(line) for line in self.log.getvalue().splitlines()]


def tiny_app(service_seen, release) -> FastAPI:
    """Routes that echo, wait and break."""
    app = FastAPI(redoc_url=None, swagger_ui_oauth2_redirect_url=None)

    @app.get("/healthz")
    @app.get("/readyz")
    def health():
        return PlainTextResponse("ok")

    @app.get("/v1/items/{item_id}")
    def item(item_id: str, request: Request):
        record = record_of(request.scope)
        record.release, record.rung = "20260630-abcdefabcdef", "personal"
        return {"item_id": item_id}

    @app.post("/v1/echo")
    def echo(wish: Wish, request: Request):
        service_seen.append(dict(request.headers))
        return wish.model_dump()

    @app.post("/v1/feedback")
    def feedback():
        return {"ok": True}

    @app.post("/v1/slow")
    async def slow():
        await release.wait()
        return {"ok": True}

    @app.get("/v1/broken")
    def broken():
        raise RuntimeError("李雷 asked for hunter2")

    return app


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def access(tmp_path):
    """The folder of keys and secrets, not there yet."""
    return tmp_path / "家 home" / "shop" / "access"


@pytest.fixture
def make_service(access, clock):
    """The tiny service with other limits, for tests that are about one."""

    def make(rules=None, body_checks=None, **limits) -> Service:
        seen, release, log = [], asyncio.Event(), io.StringIO()
        app = tiny_app(seen, release)
        answer_with_problems(app)
        keys = KeyRing(access, now=clock.now)
        guard = Guard(
            app,
            rules=RouteRules(rules or RULES),
            keys=keys,
            config=ServingConfig(**limits),
            body_checks=body_checks,
            clock=clock.monotonic,
        )
        metrics = ServiceMetrics(now=clock.now)
        whole = Observation(guard, metrics=metrics, log=AccessLog(log, now=clock.now))
        return Service(app, whole, keys, log, metrics, clock, seen, release)

    return make


@pytest.fixture
def service(make_service) -> Service:
    return make_service()


@pytest.fixture
def key(access):
    """Make a key of some scopes; gives its text."""

    def make(*scopes, name="backend", expires_at=None):
        return create_key(access, name=name, scopes=scopes, now=NOW, expires_at=expires_at).text

    return make
