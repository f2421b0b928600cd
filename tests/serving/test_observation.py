"""Metrics and logs: every request is in them once, nobody's data is."""

import json
import logging
import re
import sys
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client.parser import text_string_to_metric_families

from serving.logs import JsonFormatter
from serving.metrics import LATENCY_BUCKETS, ServiceMetrics

from .conftest import NOW

PERSONAL = ("ann@example.com", "李雷", "13800138000", "hunter2", "203.0.113.7")


def samples(metrics, name):
    """What Prometheus would read of one metric: value by its labels' values, in the order of their names."""
    return {
        tuple(value for _, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(metrics.render().decode())
        for sample in family.samples
        if sample.name == f"interest_graph_{name}"
    }


def test_a_line_per_request_says_who_what_and_how(service, key):
    text = key("read")
    answer = service.ask("GET", "/v1/items/i-42", key=text, headers={"x-request-id": "caller-7.A_z"})
    service.ask("GET", "/v1/items/i-42")
    service.ask("GET", "/nowhere/i-42", key=text)
    first, second, third = service.lines()
    assert answer.headers["x-request-id"] == "caller-7.A_z"
    assert first.pop("ms") >= 0
    assert first == {
        "time": "2026-07-01T12:00:00.000+00:00",
        "route": "/v1/items/{item_id}",
        "method": "GET",
        "status": 200,
        "key": text.split("_")[1],
        "request_id": "caller-7.A_z",
        "release": "20260630-abcdefabcdef",
        "rung": "personal",
    }
    assert (second["route"], second["status"], second["key"], second["problem"]) == ("/v1/items/{item_id}", 401, None, "unauthorized")
    assert (third["route"], third["status"], third["problem"]) == ("unmatched", 404, "no-such-route")
    assert "i-42" not in service.log.getvalue()


@pytest.mark.parametrize("given", ["", "ann@example.com", "x" * 65, 'a"b', "a\nb"])
def test_a_request_id_is_made_where_none_fit_to_be_logged_came(service, given):
    answer = service.ask("GET", "/healthz", headers={"x-request-id": given})
    assert re.fullmatch("[0-9a-f]{32}", answer.headers["x-request-id"])
    assert service.lines()[-1]["request_id"] == answer.headers["x-request-id"]


def test_personal_data_reaches_no_log_and_no_metric(service, key):
    text = key("read", "feedback")
    name, city, phone, word, address = PERSONAL
    body = json.dumps({"text": f"{name} {city} {phone} {word}", "k": 5}).encode()
    asked = [
        service.ask("POST", "/v1/echo", key=text, chunks=[body], client=address, headers={"x-request-id": name}),
        service.ask("POST", "/v1/echo", key=text, chunks=[body.replace(b'"k": 5', b'"k": 500')], client=address),
        service.ask("GET", f"/v1/items/{name}", key=text, client=address),
        service.ask("GET", f"/{city}/{phone}", key=text, client=address),
        service.ask(word, f"/v1/items/{name}", client=address, headers={"x-api-key": word}),
        service.ask("GET", "/v1/broken", key=text, client=address),
    ]
    assert [answer.status for answer in asked] == [200, 422, 200, 404, 401, 500]
    written = service.log.getvalue() + service.metrics.render().decode()
    assert len(service.lines()) == 6
    for datum in (*PERSONAL, text, text.split("_", 2)[2], "Authorization"):
        assert datum not in written, datum
    assert re.fullmatch(r"RuntimeError at .*conftest\.py:\d+ in broken", service.lines()[-1]["error"])


def test_every_request_is_counted_once_by_template(service, key):
    text = key("read")
    for number in range(5):
        service.ask("GET", f"/v1/items/{number}", key=text)
    service.ask("GET", "/v1/items/1")
    service.ask("GET", "/elsewhere", key=text)
    service.ask("BREW", "/elsewhere", key=text)
    service.ask("GET", "/v1/broken", key=text)
    assert samples(service.metrics, "requests_total") == {
        ("GET", "/v1/items/{item_id}", "200"): 5,
        ("GET", "/v1/items/{item_id}", "401"): 1,
        ("GET", "unmatched", "404"): 1,
        ("other", "unmatched", "404"): 1,
        ("GET", "/v1/broken", "500"): 1,
    }
    assert samples(service.metrics, "request_seconds_count")["/v1/items/{item_id}",] == 6
    assert samples(service.metrics, "refusals_total") == {("unauthorized",): 1, ("no-such-route",): 2}
    assert samples(service.metrics, "requests_in_flight") == {(): 0}


def test_the_histogram_tells_around_50_ms(clock):
    assert sum(0.03 <= edge <= 0.075 for edge in LATENCY_BUCKETS) >= 4
    metrics = ServiceMetrics(now=clock.now)
    for seconds in (0.049, 0.051):
        metrics.request_began()
        metrics.request_ended(route="/r", method="GET", status=200, seconds=seconds)
    buckets = samples(metrics, "request_seconds_bucket")
    assert [buckets[edge, "/r"] for edge in ("0.04", "0.05", "0.075", "+Inf")] == [0, 1, 2, 2]


def test_release_rungs_and_feedback_are_told(clock):
    metrics = ServiceMetrics(now=clock.now)
    assert str(samples(metrics, "release_age_seconds")[()]) == "nan"
    metrics.release_changed("r1", as_of=NOW - timedelta(hours=2))
    metrics.release_changed("r2", as_of=NOW - timedelta(hours=1))
    for rung in ("personal", "popular", "personal"):
        metrics.answered(rung)
    metrics.feedback_came(kind="like", outcome="accepted")
    clock.seconds = 60
    assert samples(metrics, "release_info") == {("r2",): 1}
    assert samples(metrics, "release_age_seconds") == {(): 3660}
    assert samples(metrics, "answers_total") == {("personal",): 2, ("popular",): 1}
    assert samples(metrics, "feedback_total") == {("like", "accepted"): 1}


def test_two_applications_count_apart(clock):
    first, second = ServiceMetrics(now=clock.now), ServiceMetrics(now=clock.now)
    first.answered("personal")
    assert (samples(first, "answers_total"), samples(second, "answers_total")) == ({("personal",): 1}, {})


def test_a_librarys_error_is_logged_by_its_place():
    try:
        raise KeyError("ann@example.com")
    except KeyError:
        said = ("about %s", ("ann@example.com",), sys.exc_info())
        record = logging.getLogger("lib").makeRecord("lib", logging.ERROR, "x.py", 1, *said)
    line = json.loads(JsonFormatter().format(record))
    assert line["error"].startswith("KeyError at test_observation.py:")
    assert "ann@example.com" not in json.dumps(line)
    assert datetime.fromisoformat(line["time"]).tzinfo == UTC
