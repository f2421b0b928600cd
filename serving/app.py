"""The service put together: what it needs, its routes and their scopes, and starting it.

`orchestration` hands in what it knows (dataset, settings, encoders); nothing here reads the environment.
"""

import logging
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from anyio import to_thread
from fastapi import FastAPI
from starlette.types import ASGIApp
from threadpoolctl import threadpool_limits

from feature_repo.generations import Generation, GenerationStore
from feature_repo.lookup import FeatureLookup
from feature_repo.push import RecentFeedbackStore
from ml.config import DatasetHome, PipelineConfig
from ml.contracts.store import TableStore
from ml.ids import UserIdBorder
from ml.intake.dataset import Dataset
from ml.knowledge.extraction import Endpoint
from serving.access.impressions import ImpressionSigner
from serving.access.rules import RouteRules
from serving.access.secrets import SecretKeeper
from serving.access.signatures import SignedState
from serving.feedback.pusher import FeedbackPusher
from serving.feedback.service import FeedbackService
from serving.live import Live
from serving.metrics import ServiceMetrics
from serving.recommending import Signers
from serving.routes import feedback, health, look_ups, page, recommend
from serving.server import guarded, serve, utc_now
from serving.service import Service
from serving.snapshot import OpenEncoder, Snapshot, load_snapshot

log = logging.getLogger(__name__)

_LOOK_UPS = (
    "/v1/users/{user_id:path}/profile",
    "/v1/users/{user_id:path}/history",
    "/v1/users/{user_id:path}/similar",
    "/v1/items/{item_id:path}",
    "/v1/items/{item_id:path}/similar",
    "/v1/interests/{interest_id:path}",
)
RULES = RouteRules(
    {
        ("GET", "/"): "open",
        ("GET", "/healthz"): "open",
        ("GET", "/readyz"): "open",
        ("GET", "/metrics"): "read",
        ("GET", "/docs"): "read",
        ("GET", "/openapi.json"): "read",
        ("POST", "/v1/recommend"): "read",
        **{("GET", path): "read" for path in _LOOK_UPS},
        # As the OpenAPI description writes them.
        **{("GET", path.replace(":path", "")): "read" for path in _LOOK_UPS},
        ("POST", "/v1/feedback"): "feedback",
    }
)
POINTER_LOOKED_AT_EVERY = timedelta(seconds=1)
# A cursor holds every item that was paged through.
_CURSOR_CHARACTERS = 60_000


@dataclass(frozen=True)
class Served:
    """A dataset to serve: where it lies, what it is, how it is computed, who reads texts, and who may put reasons into words."""

    home: DatasetHome
    dataset: Dataset
    config: PipelineConfig
    open_encoder: OpenEncoder
    endpoint: Endpoint | None = None


def build_service(served: Served, *, now: Callable[[], datetime] = utc_now) -> Service:
    """Everything the routes share, the live release in memory. Raises where nothing is published yet, and says so."""
    home, config = served.home, served.config
    keeper, metrics, border = SecretKeeper(home.access, now=now), ServiceMetrics(now=now), UserIdBorder(home.dataset)

    def load(generation: Generation) -> Snapshot:
        return load_snapshot(
            tables=home.tables,
            releases=home.releases,
            day=generation.day,
            release_id=generation.release_id,
            config=config,
            language=served.dataset.language,
            open_encoder=served.open_encoder,
        )

    # Asked again when the release is in memory and tells how much it knows.
    since = GenerationStore(home).live().as_of
    pusher = FeedbackPusher(RecentFeedbackStore(home, config=config.features), clock=now)
    taking = FeedbackService(served.dataset, folder=home.feedback, since=since, border=border, clock=now, on_recent=pusher.told)

    def changed(snapshot: Snapshot) -> None:
        taking.recent.come_into_force(snapshot.knows_until)
        pusher.come_into_force(taking.recent)
        metrics.release_changed(snapshot.release_id, as_of=snapshot.as_of)

    live = Live(find=GenerationStore(home).live, load=load, on_change=changed)
    live.refresh()
    impressions = ImpressionSigner(keeper, max_items=config.serving.max_k, max_age=timedelta(hours=config.serving.impression_max_age_hours))
    signers = Signers(
        impressions,
        cursors=SignedState(keeper, purpose="cursor", max_characters=_CURSOR_CHARACTERS),
        conversations=SignedState(keeper, purpose="conversation", max_characters=_CURSOR_CHARACTERS),
    )
    lookup = FeatureLookup(home, config=config.features)
    endpoint = served.endpoint if config.explanation.written_by_model else None
    return Service(live, lookup, TableStore(home.tables), taking, pusher, signers, border, metrics, now, endpoint)


def service_app(service: Service, *, served: Served) -> ASGIApp:
    """The application behind its guard; while it runs it follows the pointer to the live release."""
    stop = threading.Event()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        # Threads that compute take the interpreter from the loop: with many of them refusals come late, and so does everything.
        to_thread.current_default_thread_limiter().total_tokens = served.config.serving.threads
        follower = threading.Thread(
            target=service.live.follow, kwargs={"every": POINTER_LOOKED_AT_EVERY, "stop": stop}, name="live", daemon=True
        )
        follower.start()
        # A product of one question is too small to share among threads: on cores that are busy they wait for each other.
        with threadpool_limits(limits=1, user_api="blas"):
            yield
        stop.set()
        service.feedback.close()
        service.pusher.close()
        follower.join()

    app = FastAPI(
        title="Interest Graph",
        description="Recommendations with reasons, profiles, feedback.",
        version="1",
        lifespan=lifespan,
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
    )
    app.state.service = service
    for part in (recommend, look_ups, feedback, health, page):
        # As routes of the application itself: the table of scopes is held against each, those without a description too.
        app.router.routes.extend(part.router.routes)
    return guarded(app, rules=RULES, access=served.home.access, config=served.config.serving, metrics=service.metrics, now=service.now)


def serve_recommendations(served: Served, *, host: str, port: int) -> None:
    """Serve until stopped; raises `AccessError` for an address that needs API keys and has none."""
    service = build_service(served)
    serve(service_app(service, served=served), host=host, port=port, access=served.home.access, config=served.config.serving)
