"""The outermost layer of a service: every request gets an id, is timed, counted and logged, however it ends.

An ASGI middleware around the guard. It also has the last word on failures: an error
that nobody handled becomes a problem, never a stack trace.
"""

import re
import time
import uuid
from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.logs import AccessLog, error_place
from serving.metrics import ServiceMetrics
from serving.problems import INTERNAL
from serving.record import RequestRecord, attach_record

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_NO_ANSWER = 499  # as nginx writes it: the client was gone before there was an answer


class Observation:
    """Makes a request's record, hands it on, and tells metrics and log when the answer is out."""

    def __init__(self, app: ASGIApp, *, metrics: ServiceMetrics, log: AccessLog, clock: Callable[[], float] = time.perf_counter) -> None:
        self._app = app
        self._metrics = metrics
        self._log = log
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Have one request answered."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        record = RequestRecord(_request_id(scope), scope["method"] if scope["method"] in _METHODS else "other")
        attach_record(scope, record)
        status = _NO_ANSWER
        begun = self._clock()
        self._metrics.request_began()

        async def sent(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": [*message.get("headers", ()), (b"x-request-id", record.request_id.encode())]}
            await send(message)

        try:
            await self._app(scope, receive, sent)
        except Exception as error:  # noqa: BLE001  (the last one who can answer)
            record.error = error_place(error)
            if status == _NO_ANSWER:
                await INTERNAL.send(sent)
        finally:
            seconds = self._clock() - begun
            self._metrics.request_ended(route=record.route, method=record.method, status=status, seconds=seconds, problem=record.problem)
            self._log.write(record, status=status, seconds=seconds)


def _request_id(scope: Scope) -> str:
    given = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"x-request-id"), "")
    return given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
