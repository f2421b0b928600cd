"""Answers that say what is wrong and what to do: problem details (RFC 9457), as JSON.

Every refusal and every failure of a service is built here, so that none shows a
stack trace, a secret, or what the caller sent.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.types import Send

MEDIA_TYPE = "application/problem+json"
_MAX_SHOWN = 10


@dataclass(frozen=True)
class Problem:
    """One refusal: `name` is for programs and for the log, `detail` tells a person what to do."""

    status: int
    name: str
    detail: str
    headers: Mapping[str, str] = field(default_factory=dict)

    def body(self) -> bytes:
        """The JSON document."""
        phrase = HTTPStatus(self.status).phrase
        document = {"type": f"urn:interest-graph:problem:{self.name}", "title": phrase, "status": self.status, "detail": self.detail}
        # The place of a mistake may be a name that the caller sent, half of a surrogate pair too.
        return json.dumps(document, ensure_ascii=False).encode(errors="replace")

    def response(self) -> Response:
        """As an answer of FastAPI's."""
        return Response(self.body(), status_code=self.status, media_type=MEDIA_TYPE, headers=dict(self.headers))

    async def send(self, send: Send) -> None:
        """As an answer of a plain ASGI application."""
        body = self.body()
        headers = {"content-type": MEDIA_TYPE, "content-length": str(len(body)), **self.headers}
        raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": self.status, "headers": raw})
        await send({"type": "http.response.body", "body": body})


# The form of every refusal, for the OpenAPI description.
_DOCUMENT = {
    "title": "Problem",
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "description": "For programs."},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What is wrong and what to do, for people."},
    },
}
# What the guard and the frame around a route answer where it is not open; 404 also for an id with a line break, which no path may hold.
GUARDED = (400, 401, 403, 404, 405, 408, 413, 422, 429, 503)
_PASSING = frozenset({429, 503})


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route that may refuse with these, as FastAPI describes them."""
    return {status: _described(status) for status in statuses}


def _described(status: int) -> dict[str, Any]:
    described = {"description": HTTPStatus(status).phrase, "content": {MEDIA_TYPE: {"schema": _DOCUMENT}}}
    wait = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer", "minimum": 1}}}
    return described | ({"headers": wait} if status in _PASSING else {})


INTERNAL = Problem(500, "internal", "the service failed; try again, and name the X-Request-ID of this answer to whoever runs it")


class Refused(Exception):  # noqa: N818  (an answer on its way, no error of ours)
    """Ends the work on a request with a problem as its answer."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        super().__init__(problem.name)


def answer_with_problems(app: FastAPI) -> None:
    """Have every error answer of an application be a problem."""
    app.exception_handlers.update(
        {Refused: _refused, HTTPException: _http, RequestValidationError: _invalid, Exception: _failed},
    )


def _refused(_: Request, error: Refused) -> Response:
    return error.problem.response()


def _http(_: Request, error: HTTPException) -> Response:
    name = HTTPStatus(error.status_code).phrase.lower().replace(" ", "-")
    return Problem(error.status_code, name, str(error.detail), error.headers or {}).response()


def _invalid(_: Request, error: RequestValidationError) -> Response:
    # Places and rules only: what was sent may be personal.
    problems = error.errors()
    found = "; ".join(f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}" for problem in problems[:_MAX_SHOWN])
    more = f"; and {len(problems) - _MAX_SHOWN} more" if len(problems) > _MAX_SHOWN else ""
    return Problem(422, "invalid-request", found + more).response()


def _failed(_: Request, __: Exception) -> Response:
    return INTERNAL.response()
