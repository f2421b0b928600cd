"""Feast's feature server behind the guard: which of its routes need which scope, and what limits hold.

The application is `feature_repo.server`, the guard `serving.access.guard`; neither knows the other.
"""

from fastapi.responses import Response
from starlette.types import ASGIApp

from feature_repo.definitions import SERVICES, feature_fields
from feature_repo.server import feature_app
from ml.config import DatasetHome, PipelineConfig
from ml.contracts import CONTRACTS
from serving.access.look_ups import look_up_check
from serving.access.rules import RouteRules
from serving.metrics import CONTENT_TYPE, ServiceMetrics
from serving.problems import answer_with_problems
from serving.server import guarded, serve, utc_now

RULES = RouteRules(
    {
        ("POST", "/get-online-features"): "read",
        ("GET", "/health"): "open",
        ("GET", "/metrics"): "read",
        ("GET", "/docs"): "read",
        ("GET", "/openapi.json"): "read",
    }
)
# What each view holds beside its key.
FEATURES = {view: frozenset(field.name for field in feature_fields(CONTRACTS[view])) for view in SERVICES.values()}
# What each feature service, and each view, is asked by.
KEYS = {name: CONTRACTS[view].key[0] for service, view in SERVICES.items() for name in (service, view)}


def guarded_feature_app(home: DatasetHome, *, config: PipelineConfig) -> ASGIApp:
    """The feature server of a dataset, ready to be served; raises `PublishError` if nothing was ever published."""
    app = feature_app(home, config=config.features, prepare=answer_with_problems)
    metrics = ServiceMetrics(now=utc_now)
    app.add_api_route("/metrics", lambda: Response(metrics.render(), media_type=CONTENT_TYPE), include_in_schema=False)
    checks = {"/get-online-features": look_up_check(KEYS.get, max_entities=config.serving.max_entities, features_of=FEATURES.get)}
    return guarded(app, rules=RULES, access=home.access, config=config.serving, metrics=metrics, body_checks=checks)


def serve_features(home: DatasetHome, *, config: PipelineConfig, host: str, port: int) -> None:
    """Serve look-ups until stopped; raises `AccessError` for an address that needs API keys and has none."""
    app = guarded_feature_app(home, config=config)
    serve(app, host=host, port=port, access=home.access, config=config.serving)
