"""What is known of one request, gathered while it is answered: for metrics and logs, never with personal data.

`serving.observation` makes the record, the guard and the routes fill it in.
"""

from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Any

UNMATCHED = "unmatched"
_PLACE = "interest_graph.record"


@dataclass
class RequestRecord:
    """One request: its route as a template, who asked (a key's id), and what answered."""

    request_id: str
    method: str
    route: str = UNMATCHED
    key_id: str | None = None
    release: str | None = None
    rung: str | None = None
    problem: str | None = None
    error: str | None = None


def attach_record(scope: MutableMapping[str, Any], record: RequestRecord) -> None:
    """Let everybody behind find the record in the ASGI scope."""
    scope[_PLACE] = record


def record_of(scope: MutableMapping[str, Any]) -> RequestRecord:
    """The record of a request (`request.scope` in a route); one that nobody reads where nothing is observed."""
    record: RequestRecord = scope.get(_PLACE) or RequestRecord("", str(scope.get("method", "")))
    return record
