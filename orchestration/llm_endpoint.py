"""An OpenAI-compatible endpoint over HTTP: tries, waits, and a budget that a run oversteps by one answer at most.

What is asked and what an answer means is `ml.knowledge.extraction`. The key comes in as an argument, goes out in one
header and stands in no message.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx

from ml.config.pipeline import ExtractorConfig
from ml.errors import ConfigError, ExtractorError
from ml.knowledge.extraction import Completion

# Worth another try: too busy, too slow, or broken for a moment.
PASSING = frozenset({408, 409, 425, 429, 500, 502, 503, 504})
LONGEST_WAIT_SECONDS = 60.0
MENDS = {
    400: "the endpoint may not know response_format json_schema, or extractor.model is misspelt",
    401: "set INTEREST_GRAPH_LLM_KEY to a key of this endpoint",
    403: "the key may not use this model",
    404: "extractor.url is the address up to /v1, extractor.model a model the endpoint has",
}


class HttpEndpoint:
    """Answers chat completions; close it, or use it in a `with` block."""

    def __init__(self, config: ExtractorConfig, *, key: str | None, wait: Callable[[float], None] = time.sleep) -> None:
        """Raises `ConfigError` unless `extractor.url` and `extractor.model` are set."""
        if not config.url or not config.model:
            raise ConfigError("extraction is off: set extractor.url (up to /v1) and extractor.model in the profile")
        if urlsplit(config.url).scheme not in {"http", "https"}:
            raise ConfigError(f"extractor.url {config.url!r} is no http or https address")
        self._config = config
        self._wait = wait
        self._requests_left, self._tokens_left = config.max_requests, config.max_tokens
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._client = httpx.Client(headers=headers, timeout=config.timeout_seconds)
        self._address = f"{config.url.rstrip('/')}/chat/completions"

    def __enter__(self) -> "HttpEndpoint":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def complete(self, body: Mapping[str, Any]) -> Completion | None:
        """The answer, tried `num_tries` times; None where requests or tokens are spent. Raises `ExtractorError` with the last cause."""
        cause, pause = "", self._config.first_wait_seconds
        for attempt in range(self._config.num_tries):
            if attempt:
                self._wait(pause)
            if self._requests_left <= 0 or self._tokens_left <= 0:
                return None
            self._requests_left -= 1
            try:
                response = self._client.post(self._address, json=dict(body))
            except httpx.TransportError as error:
                cause, pause = f"{type(error).__name__}: {error}", self._backoff(attempt)
                continue
            if response.status_code == httpx.codes.OK:
                found = self._read(response, num_sent=len(response.request.content))
                if found is not None:
                    return found
                cause, pause = "the answer is no chat completion", self._backoff(attempt)
            elif response.status_code in PASSING:
                cause, pause = f"status {response.status_code}", self._asked_wait(response) or self._backoff(attempt)
            else:
                raise ExtractorError(self._address, f"status {response.status_code}", MENDS.get(response.status_code, "see its log"))
        raise ExtractorError(
            self._address, f"{self._config.num_tries} tries failed, the last with {cause}", "run again later: answers are kept"
        )

    def _read(self, response: httpx.Response, *, num_sent: int) -> Completion | None:
        """The first choice; None for anything that is no chat completion. Where no usage is told, every byte counts as a token."""
        used = num_sent + len(response.content)
        try:
            found = response.json()
            used = int((found.get("usage") or {}).get("total_tokens") or used)
            content = found["choices"][0]["message"]["content"]
        except (ValueError, LookupError, TypeError, AttributeError):
            content = None
        self._tokens_left -= used
        return Completion(content, used) if isinstance(content, str) else None

    def _backoff(self, attempt: int) -> float:
        return min(self._config.first_wait_seconds * 2.0**attempt, LONGEST_WAIT_SECONDS)

    def _asked_wait(self, response: httpx.Response) -> float | None:
        """What the endpoint asks to wait, in seconds, within reason."""
        said = response.headers.get("Retry-After", "")
        return min(float(said), LONGEST_WAIT_SECONDS) if said.isdecimal() else None
