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
    """A release is in memory; `problem` says why the next one could not be read, if so."""
    found = service.live.current
    if found is None:
        detail = service.live.problem or "the first release is still being read"
        raise Refused(Problem(503, "not-ready", detail, {"retry-after": "5"}))
    return {"status": "ready", "release": found.release_id, "day": found.day.isoformat(), "problem": service.live.problem}


@router.get("/metrics", response_class=PlainTextResponse, responses=documented(*GUARDED))
async def metrics(service: TheService) -> Response:
    """Prometheus' text format."""
    return Response(service.metrics.render(), media_type=CONTENT_TYPE)
