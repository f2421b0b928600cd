"""The endpoint over HTTP, against a local server that speaks the protocol and misbehaves on demand."""

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from ml.config.pipeline import ExtractorConfig
from ml.errors import ConfigError, ExtractorError
from ml.knowledge.answer_cache import AnswerCache
from ml.knowledge.extraction import extract_triples
from orchestration.llm_endpoint import HttpEndpoint
from tests.ml.interests.catalogues import make_items

GOOD = json.dumps({"triples": [{"relation": "made_in", "name": "Rome"}]})


class Server(ThreadingHTTPServer):
    """Answers each request with the next of `replies` (the last for ever): (status, body, headers, seconds to wait)."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.replies: list[tuple[int, str, dict[str, str], float]] = []
        self.seen: list[tuple[str, dict[str, str], dict]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        place = min(len(self.server.seen), len(self.server.replies) - 1)
        self.server.seen.append((self.path, dict(self.headers), body))
        status, content, headers, pause = self.server.replies[place]
        time.sleep(pause)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content.encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    found = Server()
    thread = threading.Thread(target=found.serve_forever, daemon=True)
    thread.start()
    yield found
    found.shutdown()
    found.server_close()
    thread.join()


def chat(content: object, *, tokens: int | None = 100) -> tuple[int, str, dict[str, str], float]:
    usage = {} if tokens is None else {"usage": {"total_tokens": tokens}}
    return 200, json.dumps({"choices": [{"message": {"role": "assistant", "content": content}}], **usage}), {}, 0.0


def fails(status: int, pause: float = 0.0, **headers: str) -> tuple[int, str, dict[str, str], float]:
    return status, "no", {name.replace("_", "-"): value for name, value in headers.items()}, pause


def ask(server: Server, waits: list[float] | None = None, *, key: str | None = "secret-key", **settings):
    config = ExtractorConfig(url=server.url, model="tiny", **{"timeout_seconds": 5.0, **settings})
    with HttpEndpoint(config, key=key, wait=(waits if waits is not None else []).append) as endpoint:
        return endpoint.complete({"model": "tiny", "messages": []})


def test_one_post_with_the_key_in_its_header_alone(server) -> None:
    server.replies = [chat(GOOD)]
    found = ask(server)
    assert (found.content, found.num_tokens) == (GOOD, 100)
    ((path, headers, body),) = server.seen
    assert path == "/v1/chat/completions"
    assert headers["Authorization"] == "Bearer secret-key"
    assert "secret-key" not in json.dumps(body)
    server.seen.clear()
    ask(server, key=None)
    assert "Authorization" not in server.seen[0][1]


@pytest.mark.parametrize("status", [429, 500, 503])
def test_what_passes_is_tried_again_with_growing_waits(server, status) -> None:
    server.replies = [fails(status), fails(status), chat(GOOD)]
    waits: list[float] = []
    assert ask(server, waits, first_wait_seconds=2.0).content == GOOD
    assert waits == [2.0, 4.0]


def test_the_servers_own_wait_counts_within_reason(server) -> None:
    server.replies = [fails(429, Retry_After="7"), fails(429, Retry_After="86400"), chat(GOOD)]
    waits: list[float] = []
    ask(server, waits)
    assert waits == [7.0, 60.0]


def test_broken_bodies_and_timeouts_are_tried_again(server) -> None:
    for reply in ((200, "{", {}, 0.0), (200, "[]", {}, 0.0), (200, '{"choices": []}', {}, 0.0), chat(None), fails(200, pause=0.6)):
        server.seen.clear()
        server.replies = [reply, chat(GOOD)]
        assert ask(server, timeout_seconds=0.2).content == GOOD
        assert len(server.seen) == 2


def test_after_the_last_try_the_error_says_what_and_where_and_never_the_key(server) -> None:
    server.replies = [fails(500)]
    with pytest.raises(ExtractorError) as caught:
        ask(server, num_tries=3)
    assert len(server.seen) == 3
    assert "3 tries failed, the last with status 500" in str(caught.value)
    assert server.url in str(caught.value)
    assert "secret-key" not in str(caught.value)


@pytest.mark.parametrize(("status", "mend"), [(401, "INTEREST_GRAPH_LLM_KEY"), (404, "up to /v1"), (400, "json_schema"), (302, "log")])
def test_what_will_not_pass_is_not_tried_again(server, status, mend) -> None:
    server.replies = [fails(status, Location="http://127.0.0.1:9/")]
    with pytest.raises(ExtractorError, match=mend):
        ask(server)
    assert len(server.seen) == 1


def test_nobody_there() -> None:
    config = ExtractorConfig(url="http://127.0.0.1:9/v1", model="tiny", num_tries=2, timeout_seconds=1.0)
    with HttpEndpoint(config, key=None, wait=lambda _: None) as endpoint, pytest.raises(ExtractorError, match="ConnectError"):
        endpoint.complete({})


def test_it_is_off_until_it_is_set() -> None:
    for settings in ({}, {"url": "http://x/v1"}, {"model": "tiny"}):
        with pytest.raises(ConfigError, match=r"extractor\.url"):
            HttpEndpoint(ExtractorConfig(**settings), key=None)
    with pytest.raises(ConfigError, match="no http"):
        HttpEndpoint(ExtractorConfig(url="file:///etc/passwd", model="tiny"), key=None)


def test_requests_and_tokens_are_a_budget(server) -> None:
    server.replies = [fails(500), chat(GOOD, tokens=60)]
    config = ExtractorConfig(url=server.url, model="tiny", max_requests=3)
    with HttpEndpoint(config, key=None, wait=lambda _: None) as endpoint:
        assert [endpoint.complete({}) is None for _ in range(4)] == [False, False, True, True]
    assert len(server.seen) == 3
    with HttpEndpoint(config.model_copy(update={"max_requests": 99, "max_tokens": 100}), key=None) as endpoint:
        assert [endpoint.complete({}) is None for _ in range(4)] == [False, False, True, True]
    server.replies = [chat(GOOD, tokens=None)]
    with HttpEndpoint(config.model_copy(update={"max_requests": 99, "max_tokens": 100}), key=None) as endpoint:
        assert [endpoint.complete({}) is None for _ in range(2)] == [False, True]


def test_extraction_over_http_survives_a_bad_endpoint_and_goes_on(server, tmp_path) -> None:
    items = make_items([{"item_id": f"i{place}", "text": f"Number {place}, made in Rome."} for place in range(4)])
    config = ExtractorConfig(url=server.url, model="tiny", num_tries=2, timeout_seconds=5.0)

    def run():
        with HttpEndpoint(config, key=None, wait=lambda _: None) as endpoint:
            return extract_triples(items, endpoint=endpoint, cache=AnswerCache(tmp_path), config=config)

    server.replies = [chat(GOOD), chat('{"triples": "all of them"}'), chat(GOOD), fails(500)]
    with pytest.raises(ExtractorError):
        run()
    server.seen.clear()
    server.replies = [chat(GOOD)]
    found = run()
    assert (found.num_asked, found.num_reused, found.triples.num_rows) == (2, 2, 4)
