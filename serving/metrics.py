"""What a service counts, for Prometheus: a registry per application, one process.

Labels are routes as templates and words of ours, never what a caller sent.
"""

from collections.abc import Callable
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest, values
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
# Importing Feast asks for counters in files that all applications share (PROMETHEUS_MULTIPROC_DIR); ours are one process's own.
values.ValueClass = values.MutexValue
# Close around 50 ms, where 99 of 100 answers should be.
LATENCY_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.04, 0.05, 0.075, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class ServiceMetrics:
    """Counters of one application; `now` gives the time that a release's age is told by."""

    def __init__(self, *, now: Callable[[], datetime]) -> None:
        self.registry = CollectorRegistry()
        self._now = now
        self._as_of: datetime | None = None
        self._requests = Counter("interest_graph_requests", "Requests answered.", ["route", "method", "status"], registry=self.registry)
        self._seconds = Histogram(
            "interest_graph_request_seconds",
            "Seconds from a request to the end of its answer.",
            ["route"],
            buckets=LATENCY_BUCKETS,
            registry=self.registry,
        )
        self._in_flight = Gauge("interest_graph_requests_in_flight", "Requests being answered.", registry=self.registry)
        self._refusals = Counter("interest_graph_refusals", "Requests refused by the guard.", ["problem"], registry=self.registry)
        self._answers = Counter("interest_graph_answers", "Recommendations by the rung that answered.", ["rung"], registry=self.registry)
        self._explored = Counter("interest_graph_explored_places", "Places of lists that chance filled.", registry=self.registry)
        self._feedback = Counter("interest_graph_feedback", "Feedback by kind and outcome.", ["kind", "outcome"], registry=self.registry)
        self._release = Gauge("interest_graph_release_info", "The release that answers: 1.", ["release"], registry=self.registry)
        self._age = Gauge("interest_graph_release_age_seconds", "Seconds since the end of the release's day.", registry=self.registry)
        self._age.set_function(self._age_seconds)
        ProcessCollector(registry=self.registry)

    def request_began(self) -> None:
        """A request came in."""
        self._in_flight.inc()

    def request_ended(self, *, route: str, method: str, status: int, seconds: float, problem: str | None = None) -> None:
        """Its answer went out, or broke off; `route` is a template, `problem` why the guard refused it."""
        self._in_flight.dec()
        self._requests.labels(route, method, str(status)).inc()
        self._seconds.labels(route).observe(seconds)
        if problem is not None:
            self._refusals.labels(problem).inc()

    def answered(self, rung: str, *, num_explored: int = 0) -> None:
        """A recommendation was given by this rung of the ladder; chance filled so many of its places."""
        self._answers.labels(rung).inc()
        self._explored.inc(num_explored)

    def feedback_came(self, *, kind: str, outcome: str) -> None:
        """Feedback was accepted or refused; `outcome` is one of the caller's few words."""
        self._feedback.labels(kind, outcome).inc()

    def release_changed(self, release_id: str, *, as_of: datetime) -> None:
        """Another release answers from now on."""
        self._as_of = as_of
        self._release.clear()
        self._release.labels(release_id).set(1)

    def render(self) -> bytes:
        """The body of `/metrics`; its content type is `CONTENT_TYPE`."""
        return generate_latest(self.registry)

    def _age_seconds(self) -> float:
        return float("nan") if self._as_of is None else (self._now() - self._as_of).total_seconds()
