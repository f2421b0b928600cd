"""Feast's own feature server over one dataset, for look-ups only, following every publish.

Each generation has a Feast application of its own and every request is handed to one of
them whole, so no answer mixes two. Feast's application also offers routes that write,
materialize and chat, without asking who calls; they are taken out, since only
`feature_repo.publish` may write. It asks nobody for a key either: `orchestration.feature_service` puts the guard in front.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from ml.config import DatasetHome
from ml.config.pipeline import FeatureStoreConfig

if TYPE_CHECKING:
    from fastapi import FastAPI, Request
    from fastapi.responses import JSONResponse
    from feast import FeatureStore
    from feast.errors import FeastError
    from feast.repo_config import RepoConfig

    from feature_repo.generations import Generation
    from feature_repo.live import LiveStores, OpenGeneration

READ_ROUTES = {"/get-online-features": "POST", "/health": "GET", "/docs": "GET", "/openapi.json": "GET"}
HEADER = "X-Interest-Graph-"
# Requests under way are in the live generation or the one before it.
NUM_OPEN = 2

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Clock = Callable[[], datetime]


def wall_clock() -> datetime:
    """The time now, UTC."""
    return datetime.now(UTC)


def feature_app(home: DatasetHome, *, config: FeatureStoreConfig, clock: Clock = wall_clock) -> "FastAPI":
    """The web application; raises `PublishError` if nothing was ever published.

    Every answer says in its headers which release and generation gave it, the moment it speaks of, its age in seconds by
    `clock`, and whether that is more than `features.ttl_days`.
    """
    from fastapi import FastAPI  # noqa: PLC0415  (only a server needs it)
    from starlette.routing import Route  # noqa: PLC0415

    from feature_repo.live import LiveStores, plain_store  # noqa: PLC0415  (Feast imports slowly)
    from feature_repo.stale import TimelyFeatureStore  # noqa: PLC0415

    ttl = timedelta(days=config.ttl_days)

    def timely_store(settings: "RepoConfig") -> "FeatureStore":
        return TimelyFeatureStore(config=settings, ttl=ttl, clock=clock)

    stores = LiveStores(home, config=config, store_maker=timely_store if config.refuse_stale else plain_store)
    live = _LiveApplication(stores, ttl=ttl, clock=clock)

    @asynccontextmanager
    async def closing_all(_: FastAPI) -> AsyncIterator[None]:
        yield
        await live.close()

    app = FastAPI(lifespan=closing_all, docs_url=None, redoc_url=None, openapi_url=None)
    app.router.routes += [Route(path, live, methods=[method], include_in_schema=False) for path, method in READ_ROUTES.items()]
    return app


class _LiveApplication:
    """An ASGI application that hands each request to the live generation's."""

    def __init__(self, stores: "LiveStores", *, ttl: timedelta, clock: Clock) -> None:
        self._stores = stores
        self._ttl = ttl
        self._clock = clock
        self._lock = asyncio.Lock()
        # By generation id, asked longest ago first: the application and what closes it.
        self._open: OrderedDict[str, tuple[FastAPI, AsyncExitStack]] = OrderedDict()

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request from one generation."""
        opened = self._stores.current()
        app = await self._application(opened)
        headers = [(name.encode(), value.encode()) for name, value in self._said_of(opened.generation).items()]

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *headers]
            await send(message)

        await app(scope, receive, send_with_headers)

    async def close(self) -> None:
        """Close every application that is open."""
        for _, closing in self._open.values():
            await closing.aclose()

    def _said_of(self, generation: "Generation") -> dict[str, str]:
        age = self._clock() - generation.as_of
        said = {
            "Release": generation.release_id,
            "Generation": generation.generation_id,
            "As-Of": generation.as_of.isoformat(),
            "Age-Seconds": str(int(age.total_seconds())),
            "Stale": str(age > self._ttl).lower(),
        }
        return {f"{HEADER}{name}": value for name, value in said.items()}

    async def _application(self, opened: "OpenGeneration") -> "FastAPI":
        generation_id = opened.generation.generation_id
        async with self._lock:
            if generation_id not in self._open:
                self._open[generation_id] = await _started(opened.store)
                if len(self._open) > NUM_OPEN:
                    _, (_, closing) = self._open.popitem(last=False)
                    await closing.aclose()
            self._open.move_to_end(generation_id)
            return self._open[generation_id][0]


async def _started(store: "FeatureStore") -> tuple["FastAPI", AsyncExitStack]:
    """Feast's application over one store, its reading routes alone, started; and what closes it."""
    from feast.errors import FeastError  # noqa: PLC0415  (Feast imports slowly)
    from feast.feature_server import get_app  # noqa: PLC0415

    # 0: the registry of a generation never changes, so nothing refreshes it.
    app: FastAPI = get_app(store, registry_ttl_sec=0)
    app.router.routes = [route for route in app.router.routes if getattr(route, "path", None) in READ_ROUTES]
    # Feast's own form of an error, which its clients read; its handler would also write the request into the log.
    app.exception_handlers[FeastError] = _told
    closing = AsyncExitStack()
    await closing.enter_async_context(app.router.lifespan_context(app))
    return app, closing


def _told(_: "Request", error: "FeastError") -> "JSONResponse":
    from fastapi.responses import JSONResponse  # noqa: PLC0415  (only a server needs it)

    return JSONResponse(error.to_error_detail(), status_code=error.http_status_code())
