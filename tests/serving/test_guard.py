"""The guard: every route refuses without its key, every limit holds, and every refusal is a problem without a secret."""

import asyncio
import json
from datetime import timedelta

import pytest

from ml.errors import AccessError
from serving.access.binding import check_binding, is_loopback
from serving.access.keys import KeyRing, key_file, read_keys, revoke_key
from serving.access.rules import RouteRules
from serving.problems import Problem

from .conftest import NOW, RULES

CLOSED = [(method, path.replace("{item_id}", "i1")) for (method, path), needed in RULES.items() if needed != "open"]


def is_problem(answer, status, name):
    """Whether an answer is a whole RFC 9457 document of this kind."""
    assert answer.status == status, answer
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    assert set(document) == {"type", "title", "status", "detail"}
    assert (document["type"], document["status"]) == (f"urn:interest-graph:problem:{name}", status)
    assert document["title"]
    assert len(document["detail"]) > 20
    return document["detail"]


@pytest.mark.parametrize(("method", "path"), [*CLOSED, ("GET", "/nowhere"), ("DELETE", "/v1/echo"), ("GET", "/v1/items/a/b")])
def test_without_a_key_every_route_is_shut_and_none_is_told_apart(service, key, method, path):
    key("read")
    answer = service.ask(method, path)
    assert "Authorization: Bearer KEY" in is_problem(answer, 401, "unauthorized")
    assert answer.headers["www-authenticate"] == 'Bearer realm="interest-graph"'


def test_health_is_open(service, key):
    key("read")
    for path in ("/healthz", "/readyz"):
        assert service.ask("GET", path).status == 200


def test_a_key_opens_what_its_scope_says(service, key):
    reader, writer, both = key("read"), key("feedback", name="w"), key("read", "feedback", name="b")
    for text, statuses in ((reader, (200, 403)), (writer, (403, 200)), (both, (200, 200))):
        assert (service.ask("GET", "/v1/items/i1", key=text).status, service.ask("POST", "/v1/feedback", key=text).status) == statuses
    refused = service.ask("POST", "/v1/feedback", key=reader)
    assert "needs a key with scope feedback; yours" in is_problem(refused, 403, "wrong-scope")
    assert 'error="insufficient_scope", scope="feedback"' in refused.headers["www-authenticate"]


def test_both_headers_are_read_and_go_no_further(service, key):
    text = key("read")
    for headers in ({"authorization": f"bearer  {text}"}, {"x-api-key": text}, {"x-api-key": text, "authorization": f"Bearer {text}"}):
        assert service.ask("POST", "/v1/echo", headers=headers, chunks=[b"{}"]).status == 200
    assert len(service.seen) == 3
    assert all("authorization" not in seen and "x-api-key" not in seen for seen in service.seen)


@pytest.mark.parametrize(
    ("headers", "what"),
    [
        ({"authorization": "Basic SECRET-WORD"}, "must read: Bearer KEY"),
        ({"authorization": "Bearer"}, "must read: Bearer KEY"),
        ({"authorization": "SECRET-WORD"}, "must read: Bearer KEY"),
        ({"authorization": "Bearer SECRET-WORD"}, "unknown, revoked or expired"),
        ({"x-api-key": "SECRET-WORD é"}, "unknown, revoked or expired"),
        ({"x-api-key": ""}, "send an API key"),
        ({"x-api-key": "SECRET-WORD", "authorization": "Bearer SECRET-WORDS"}, "two different API keys"),
    ],
)
def test_a_wrong_credential_is_told_and_not_repeated(service, key, headers, what):
    key("read")
    answer = service.ask("GET", "/v1/items/i1", headers=headers)
    assert what in is_problem(answer, 401, "unauthorized")
    assert "SECRET-WORD" not in answer.body.decode() + str(answer.headers) + service.log.getvalue()


def test_revoked_and_expired_keys_are_out_at_the_next_request(service, key, access):
    text = key("read")
    short = key("read", name="short", expires_at=NOW + timedelta(seconds=5))
    assert [service.ask("GET", "/v1/items/i1", key=used).status for used in (text, short)] == [200, 200]
    revoke_key(access, read_keys(access)[0].id, now=NOW)
    service.clock.seconds = 5
    assert [service.ask("GET", "/v1/items/i1", key=used).status for used in (text, short)] == [401, 401]
    # That no key is live opens nothing.
    assert service.ask("GET", "/v1/items/i1").status == 401


def test_a_torn_key_file_lets_nobody_in_and_says_so_in_the_log_only(service, key, access):
    text = key("read")
    assert service.ask("GET", "/v1/items/i1", key=text).status == 200
    key_file(access).write_text("{")
    for used in (text, None):
        answer = service.ask("GET", "/v1/items/i1", key=used)
        is_problem(answer, 503, "keys-unreadable")
        assert str(access) not in answer.body.decode()
    assert str(key_file(access)) in service.lines()[-1]["error"]
    assert service.ask("GET", "/healthz").status == 200


def test_routes_and_methods_that_are_not_there(service, key):
    text = key("read", "admin", "feedback")
    is_problem(service.ask("GET", "/nowhere", key=text), 404, "no-such-route")
    for path in ("/v1/echo/", "//v1/echo", "/v1", "/V1/echo"):
        is_problem(service.ask("POST", path, key=text), 404, "no-such-route")
    wrong = service.ask("GET", "/v1/echo", key=text)
    is_problem(wrong, 405, "wrong-method")
    assert wrong.headers["allow"] == "POST"
    assert service.ask("HEAD", "/v1/echo", key=text).headers["allow"] == "POST"
    assert [service.ask("HEAD", path, key=text).status for path in ("/v1/items/i1", "/healthz")] == [200, 200]


def test_a_route_nobody_listed_stays_shut(make_service, key):
    """Forgotten in the table, the route is not served; at start it is an error."""
    rules = {route: needed for route, needed in RULES.items() if route != ("POST", "/v1/feedback")}
    service = make_service(rules=rules)
    is_problem(service.ask("POST", "/v1/feedback", key=key("read", "feedback", "admin")), 404, "no-such-route")
    with pytest.raises(AccessError, match="routes without a scope: POST /v1/feedback;"):
        RouteRules(rules).check(service.app)
    RouteRules(RULES).check(service.app)
    with pytest.raises(AccessError, match="names what is no route: PUT /v1/feedback;"):
        RouteRules({**RULES, ("PUT", "/v1/feedback"): "feedback"}).check(service.app)


def test_where_patterns_overlap_every_scope_is_needed(make_service, key):
    service = make_service(rules={**RULES, ("GET", "/v1/items/all"): "admin", ("GET", "/v1/{part}/open"): "open"})
    reader, admin = key("read"), key("read", "admin", name="a")
    assert [service.ask("GET", "/v1/items/all", key=text).status for text in (reader, admin)] == [403, 200]
    # An open pattern opens nothing that another one shuts.
    assert [service.ask("GET", "/v1/items/open", key=text).status for text in (None, reader)] == [401, 200]


def test_rates_are_per_key_and_say_when_to_come_back(make_service, key):
    service = make_service(requests_per_second=0.4, burst=2)
    first, second = key("read"), key("read", name="other")
    assert [service.ask("GET", "/v1/items/i1", key=first).status for _ in range(3)] == [200, 200, 429]
    refused = service.ask("GET", "/v1/items/i1", key=first)
    assert "in 3 s" in is_problem(refused, 429, "rate-limited")
    assert refused.headers["retry-after"] == "3"
    assert service.ask("GET", "/v1/items/i1", key=second).status == 200
    service.clock.seconds += 3
    assert service.ask("GET", "/v1/items/i1", key=first).status == 200


def test_guessing_keys_is_slowed_and_hurts_no_holder(make_service, key):
    service = make_service(requests_per_second=1, burst=3)
    text = key("read")
    statuses = [service.ask("GET", "/v1/items/i1", key=f"guess-{number}", client="192.0.2.9").status for number in range(5)]
    assert statuses == [401, 401, 401, 429, 429]
    assert service.ask("GET", "/v1/items/i1", key="guess", client="192.0.2.8").status == 401
    assert service.ask("GET", "/v1/items/i1", key=text, client="192.0.2.9").status == 200


def test_without_keys_this_machine_is_answered_within_its_rate(make_service):
    service = make_service(requests_per_second=1, burst=2)
    assert [service.ask("GET", "/v1/items/i1").status for _ in range(3)] == [200, 200, 429]
    assert service.ask("GET", "/healthz").status == 200


@pytest.mark.parametrize(
    ("headers", "server"),
    [
        ({}, ("192.0.2.1", 8000)),
        ({}, ("/run/socket", None)),
        ({}, None),
        ({"host": "evil.example"}, ("127.0.0.1", 8000)),
        ({"host": "[x"}, ("127.0.0.1", 8000)),
        ({"origin": "https://evil.example"}, ("127.0.0.1", 8000)),
        ({"origin": "null"}, ("127.0.0.1", 8000)),
    ],
)
def test_without_keys_nobody_else_and_no_foreign_page_is(service, headers, server):
    answer = service.ask("GET", "/v1/items/i1", headers=headers, server=server)
    assert "only this machine is answered" in is_problem(answer, 403, "not-local")


@pytest.mark.parametrize("headers", [{}, {"host": "localhost"}, {"host": "[::1]:80", "origin": "http://localhost:8000"}])
def test_without_keys_this_machine_by_any_name(service, headers):
    assert service.ask("GET", "/v1/items/i1", headers=headers).status == 200


def test_a_body_is_bounded_declared_or_not(make_service, key):
    service = make_service(max_body_bytes=1000)
    text = key("read")
    most = json.dumps({"text": "x" * 985}).encode()
    assert len(most) == 997
    assert service.ask("POST", "/v1/echo", key=text, chunks=[most[:500], most[500:], b"   "]).status == 200
    declared = service.ask("POST", "/v1/echo", key=text, headers={"content-length": "1001"}, chunks=[None])
    chunked = service.ask("POST", "/v1/echo", key=text, chunks=[most, b"    ", None])
    lying = service.ask("POST", "/v1/echo", key=text, headers={"content-length": "5"}, chunks=[most, b"    ", None])
    for answer in (declared, chunked, lying, service.ask("GET", "/healthz", chunks=[b"x" * 1001, None])):
        assert "1000 bytes" in is_problem(answer, 413, "body-too-large")
        assert answer.headers["connection"] == "close"
    assert len(service.seen) == 1


def test_a_body_that_does_not_come_ends(make_service, key):
    service = make_service(body_timeout_seconds=0.05)
    answer = service.ask("POST", "/v1/echo", key=key("read"), chunks=[b"{", None])
    assert "within 0.05 s" in is_problem(answer, 408, "body-too-slow")


def test_a_client_that_hangs_up_gets_nothing_and_takes_no_place(make_service, key):
    service = make_service(max_in_flight=1)
    text = key("read")
    for _ in range(3):
        assert service.ask("POST", "/v1/echo", key=text, chunks=[]).status == 0
    assert service.ask("POST", "/v1/echo", key=text, chunks=[b"{}"]).status == 200
    assert [line["status"] for line in service.lines()] == [499, 499, 499, 200]


def test_overload_is_refused_at_once_and_over_when_it_is_over(make_service, key):
    service = make_service(max_in_flight=4)
    text = key("read")

    async def crowd():
        asked = [asyncio.create_task(service.request("POST", "/v1/slow", key=text)) for _ in range(20)]
        # Those beyond the places are answered while the others still wait.
        done, waiting = await asyncio.wait(asked, timeout=5, return_when=asyncio.FIRST_COMPLETED)
        while len(done) < 16:
            more, waiting = await asyncio.wait(waiting, timeout=5, return_when=asyncio.FIRST_COMPLETED)
            assert more, "somebody queues"
            done |= more
        health = await service.request("GET", "/healthz")
        in_flight = service.metrics.registry.get_sample_value("interest_graph_requests_in_flight")
        service.release.set()
        served = [await task for task in waiting]
        after = await service.request("POST", "/v1/slow", key=text)
        return [task.result() for task in done], health, in_flight, served, after

    refused, health, in_flight, served, after = asyncio.run(crowd())
    for answer in refused:
        is_problem(answer, 503, "overloaded")
        assert answer.headers["retry-after"] == "1"
    assert (health.status, in_flight, [answer.status for answer in served], after.status) == (200, 4, [200] * 4, 200)


def test_a_failure_gives_its_place_back_and_shows_nothing(make_service, key):
    service = make_service(max_in_flight=1)
    text = key("read")
    for _ in range(3):
        answer = service.ask("GET", "/v1/broken", key=text)
        is_problem(answer, 500, "internal")
        assert "hunter2" not in answer.body.decode()
        assert "Traceback" not in answer.body.decode()


def test_the_applications_own_refusals_are_problems_too(service, key):
    answer = service.ask("POST", "/v1/echo", key=key("read"), chunks=[b'{"k": 101, "text": 7, "more": "hunter2"}'])
    detail = is_problem(answer, 422, "invalid-request")
    assert "body.k: Input should be less than or equal to 100" in detail
    assert "body.more: Extra inputs are not permitted" in detail
    assert "hunter2" not in detail
    is_problem(service.ask("POST", "/v1/echo", key=key("read"), chunks=[b"{"]), 422, "invalid-request")


def test_a_body_check_holds_on_its_route_alone(make_service, key):
    refusal = Problem(422, "odd", "this body is not even in length; send another")
    service = make_service(body_checks={"/v1/echo": lambda body: refusal if len(body) % 2 else None})
    text = key("read", "feedback")
    is_problem(service.ask("POST", "/v1/echo", key=text, chunks=[b"{", b"} "]), 422, "odd")
    assert service.ask("POST", "/v1/echo", key=text, chunks=[b"{}"]).status == 200
    assert service.ask("POST", "/v1/feedback", key=text, chunks=[b"{} "]).status == 200


def test_a_websocket_is_closed_before_it_opens(service):
    sent = []

    async def send(message):
        sent.append(message)

    asyncio.run(service.whole({"type": "websocket", "path": "/ws", "headers": []}, None, send))
    assert sent == [{"type": "websocket.close", "code": 1008}]


def test_a_service_binds_to_loopback_or_has_keys(access, key):
    ring = KeyRing(access, now=lambda: NOW)
    for host in ("127.0.0.1", "127.9.9.9", "::1", "localhost"):
        assert is_loopback(host)
        check_binding(host, keys=ring)
    elsewhere = ("0.0.0.0", "::", "", "192.0.2.1", "::ffff:192.0.2.1", "localhost.example", "example.com", "10.0.0.1")
    for host in elsewhere:
        with pytest.raises(AccessError, match=r"interest-graph keys create .*, or listen on 127\.0\.0\.1"):
            check_binding(host, keys=ring)
    key("read")
    for host in elsewhere:
        check_binding(host, keys=ring)
    revoke_key(access, read_keys(access)[0].id, now=NOW)
    with pytest.raises(AccessError, match="no live API key"):
        check_binding("0.0.0.0", keys=ring)
    key_file(access).write_text("{")
    with pytest.raises(AccessError, match="Invalid JSON"):
        check_binding("127.0.0.1", keys=ring)
