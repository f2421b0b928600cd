"""Everything the routes share: the live snapshot, look-ups, feedback, signers, counters. Made once, at start."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, cast

from fastapi import Depends, Request

from feature_repo.lookup import FeatureLookup
from ml.contracts.store import TableStore
from ml.ids import UserIdBorder
from ml.knowledge.extraction import Endpoint
from serving.feedback.pusher import FeedbackPusher
from serving.feedback.service import FeedbackService
from serving.live import Live
from serving.metrics import ServiceMetrics
from serving.problems import Problem, Refused
from serving.recommending import Signers
from serving.record import record_of
from serving.snapshot import Snapshot


@dataclass(frozen=True)
class Service:
    """One dataset's service."""

    live: Live
    lookup: FeatureLookup
    tables: TableStore
    feedback: FeedbackService
    pusher: FeedbackPusher
    signers: Signers
    border: UserIdBorder
    metrics: ServiceMetrics
    now: Callable[[], datetime]
    endpoint: Endpoint | None = None

    def snapshot(self, request: Request) -> Snapshot:
        """What is in force, for the whole request; raises `Refused` with 503 before anything could be read."""
        found = self.live.current
        if found is None:
            detail = self.live.problem or "the first release is still being read; ask again in some seconds"
            raise Refused(Problem(503, "not-ready", detail, {"retry-after": "5"}))
        record_of(request.scope).release = found.release_id
        return found


async def _service(request: Request) -> Service:
    return cast("Service", request.app.state.service)


TheService = Annotated[Service, Depends(_service)]


async def _snapshot(request: Request, service: TheService) -> Snapshot:
    return service.snapshot(request)


TheSnapshot = Annotated[Snapshot, Depends(_snapshot)]
