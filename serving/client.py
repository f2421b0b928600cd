"""A client in Python for both services: typed answers, exact errors, a retry where the service asks for one.

Needs nothing of ours but `serving.schemas`: httpx and pydantic.
"""

import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, Self, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel

from serving.schemas import FeedbackAnswer, Found, History, InterestAnswer, RecommendAnswer, RecommendRequest, Similar

FeatureService = Literal["user_profile", "item_profile", "recommendations"]
Answer = TypeVar("Answer", bound=BaseModel)

# Refusals that pass by themselves.
_PASSING = frozenset({429, 503})
_LONGEST_WAIT_SECONDS = 5.0


class ServiceError(Exception):
    """A refusal, with what to do about it: the service's own words."""

    def __init__(self, status: int, detail: str) -> None:
        self.status, self.detail = status, detail
        super().__init__(f"{status}: {detail}")


@dataclass(frozen=True)
class Features:
    """What Feast's server knows of some ids, a row each in their order; an unknown id has None everywhere."""

    rows: Sequence[Mapping[str, Any]]
    release: str
    as_of: str
    age_seconds: int
    is_stale: bool


class Client:
    """One service at one address; may be shared by threads. Use it as a context, or `close` it."""

    def __init__(self, address: str, *, key: str | None = None, timeout_seconds: float = 10.0, retries: int = 2) -> None:
        """`key` is an API key with the scopes that are needed; refusals for load are tried again `retries` times."""
        headers = {"authorization": f"Bearer {key}"} if key else {}
        self._http = httpx.Client(base_url=address, headers=headers, timeout=timeout_seconds)
        self._retries = retries

    def recommend(self, request: RecommendRequest | None = None, **members: Any) -> RecommendAnswer:
        """A list for a request, given whole or by its members: `client.recommend(user_id="u00042", k=5)`."""
        asked = request or RecommendRequest(**members)
        return self._posted("/v1/recommend", asked.model_dump(mode="json", exclude_unset=True), RecommendAnswer)

    def profile(self, user_id: str) -> Found:
        """A user's named interests and activity."""
        return self._got(f"/v1/users/{_in_path(user_id)}/profile", Found)

    def history(self, user_id: str, *, days: int = 14) -> History:
        """A user's strongest interests on each of the last days that were computed, oldest first."""
        return self._got(f"/v1/users/{_in_path(user_id)}/history?days={days}", History)

    def item(self, item_id: str) -> Found:
        """An item's features."""
        return self._got(f"/v1/items/{_in_path(item_id)}", Found)

    def interest(self, interest_id: str) -> InterestAnswer:
        """A named interest and the items most about it; raises `ServiceError` with 404 for one that is not there."""
        return self._got(f"/v1/interests/{_in_path(interest_id)}", InterestAnswer)

    def similar(self, *, item_id: str | None = None, user_id: str | None = None, k: int = 10) -> Similar:
        """What is like an item, or who is like a user; give one of them."""
        if (item_id is None) == (user_id is None):
            raise ValueError("give either item_id or user_id")
        kind, identifier = ("items", item_id) if item_id is not None else ("users", user_id or "")
        return self._got(f"/v1/{kind}/{_in_path(identifier)}/similar?k={k}", Similar)

    def feedback(self, kind: str, *, user_id: str, id: str | None = None, **members: Any) -> FeedbackAnswer:  # noqa: A002
        """Durable when it returns. `id` is the idempotency key, one of its own where none is given."""
        body = {"id": id or uuid.uuid4().hex, "user_id": user_id, "kind": kind, **members}
        return self._posted("/v1/feedback", body, FeedbackAnswer)

    def features(self, service: FeatureService, ids: Sequence[str]) -> Features:
        """Of Feast's feature server: every feature of a service for some users or items."""
        key = "item_id" if service == "item_profile" else "user_id"
        answer = self._asked("POST", "/get-online-features", json={"feature_service": service, "entities": {key: list(ids)}})
        content = answer.json()
        names, columns = content["metadata"]["feature_names"], [column["values"] for column in content["results"]]
        said = {name.removeprefix("x-interest-graph-"): value for name, value in answer.headers.items()}
        return Features(
            rows=[dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)],
            release=said["release"],
            as_of=said["as-of"],
            age_seconds=int(said["age-seconds"]),
            is_stale=said["stale"] == "true",
        )

    def close(self) -> None:
        """Close its connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _got(self, path: str, form: type[Answer]) -> Answer:
        return form.model_validate_json(self._asked("GET", path).content)

    def _posted(self, path: str, body: Mapping[str, Any], form: type[Answer]) -> Answer:
        return form.model_validate_json(self._asked("POST", path, json=body).content)

    def _asked(self, method: str, path: str, **how: Any) -> httpx.Response:
        for attempt in range(self._retries + 1):
            answer = self._http.request(method, path, **how)
            if answer.is_success:
                return answer
            if answer.status_code not in _PASSING or attempt == self._retries:
                break
            time.sleep(min(float(answer.headers.get("retry-after", 1)), _LONGEST_WAIT_SECONDS))
        raise ServiceError(answer.status_code, _detail(answer))


def _detail(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return answer.text or answer.reason_phrase


def _in_path(identifier: str) -> str:
    return quote(identifier, safe="")
