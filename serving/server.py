"""Starting a service: the guard around its application, the address it may have, uvicorn as it should be.

Both services start here, so that neither can listen without the guard.
"""

import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp

from ml.config.pipeline import ServingConfig
from serving.access.binding import check_binding
from serving.access.guard import BodyCheck, Guard
from serving.access.keys import KeyRing
from serving.access.rules import RouteRules
from serving.logs import AccessLog, logging_settings
from serving.metrics import ServiceMetrics
from serving.observation import Observation
from serving.problems import answer_with_problems


def utc_now() -> datetime:
    """The wall clock of a running service."""
    return datetime.now(UTC)


def guarded(
    app: FastAPI,
    *,
    rules: RouteRules,
    access: Path,
    config: ServingConfig,
    metrics: ServiceMetrics,
    body_checks: Mapping[str, BodyCheck] | None = None,
    now: Callable[[], datetime] = utc_now,
) -> ASGIApp:
    """The application behind the guard, observed; its errors become problems. `access` is `DatasetHome.access`.

    Raises `AccessError` where a route has no scope.
    """
    rules.check(app)
    answer_with_problems(app)
    guard = Guard(app, rules=rules, keys=KeyRing(access, now=now), config=config, body_checks=body_checks)
    return Observation(guard, metrics=metrics, log=AccessLog(sys.stderr, now=now))


def serve(app: ASGIApp, *, host: str, port: int, access: Path, config: ServingConfig) -> None:
    """Serve what `guarded` gave until stopped; raises `AccessError` for an address that needs keys and has none."""
    check_binding(host, keys=KeyRing(access, now=utc_now))
    uvicorn.run(
        app,
        host=host,
        port=port,
        access_log=False,
        server_header=False,
        # A header could name any address; whoever connects is the caller.
        proxy_headers=False,
        ws="none",
        log_config=logging_settings(),
        limit_concurrency=config.max_connections,
        timeout_graceful_shutdown=config.drain_seconds,
    )
