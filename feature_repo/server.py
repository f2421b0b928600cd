"""Feast's own feature server over one dataset, for look-ups only.

Feast's application also offers routes that write, materialize and chat, without
asking who calls; they are taken out, since only `feature_repo.publish` may write.
It asks nobody for a key either: `orchestration.feature_service` puts the guard in front.
"""

from typing import TYPE_CHECKING

from ml.config import DatasetHome
from ml.config.pipeline import FeatureStoreConfig
from ml.errors import PublishError

if TYPE_CHECKING:
    from fastapi import FastAPI

READ_ROUTES = frozenset({"/get-online-features", "/health", "/docs", "/openapi.json"})
REGISTRY_REFRESH_SECONDS = 5


def feature_app(home: DatasetHome, *, config: FeatureStoreConfig) -> "FastAPI":
    """The web application; raises `PublishError` if nothing was ever published."""
    from feast.feature_server import get_app  # noqa: PLC0415  (Feast imports slowly)

    from feature_repo.repository import open_store, registry_path  # noqa: PLC0415  (Feast imports slowly)

    if not registry_path(home).exists():
        raise PublishError(f"nothing of dataset {home.dataset} is online in {home.root} yet; run `interest-graph run` first")
    app: FastAPI = get_app(open_store(home, config), registry_ttl_sec=REGISTRY_REFRESH_SECONDS)
    app.router.routes = [route for route in app.router.routes if getattr(route, "path", None) in READ_ROUTES]
    return app
