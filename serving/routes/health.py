"""Whether the service lives, whether it can answer, and what it counts: told by the event loop, however busy the threads are."""

from fastapi import APIRouter, Response
from fastapi.responses import PlainTextResponse

from serving.metrics import CONTENT_TYPE
from serving.problems import GUARDED, Problem, Refused, documented
from serving.service import TheService

router = APIRouter()


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """The process answers."""
    return {"status": "ok"}


@router.get("/readyz", responses=documented(503))
async def readyz(service: TheService) -> dict[str, str | bool | None]:
    """A release is in memory; `problem` says whether the next one could not be read.

    Anybody may ask: why it could not, which names files, is for the log.
    """
    found, is_stuck = service.live.current, service.live.problem is not None
    if found is None:
        detail = "no release can be read" if is_stuck else "the first release is still being read"
        raise Refused(Problem(503, "not-ready", f"{detail}; the service's log says more", {"retry-after": "5"}))
    problem = "the next release cannot be read; the service's log says why" if is_stuck else None
    return {"status": "ready", "release": found.release_id, "day": found.day.isoformat(), "problem": problem}


@router.get("/metrics", response_class=PlainTextResponse, responses=documented(*GUARDED))
async def metrics(service: TheService) -> Response:
    """Prometheus' text format."""
    return Response(service.metrics.render(), media_type=CONTENT_TYPE)
