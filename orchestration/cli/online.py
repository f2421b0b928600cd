"""`serve`: the recommendation service; `serve-features`: Feast's own feature server. Both over what is published."""

import os

import typer

from orchestration.cli.options import DatasetFile, Home, Profile, open_scope


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command("serve", epilog="Example: interest-graph serve --port 8000")(serve_command)
    app.command("serve-features", epilog="Example: interest-graph serve-features --port 6566")(serve_features_command)


def serve_command(
    *,
    home: Home = None,
    dataset: DatasetFile = None,
    profile: Profile = None,
    host: str | None = typer.Option(None, help="Address to listen on.", show_default="serving.host"),
    port: int | None = typer.Option(None, help="Port to listen on.", show_default="serving.port"),
) -> None:
    """Recommend, explain, look up and take feedback over HTTP until stopped; beyond loopback only with API keys."""
    from orchestration.cli.knowledge import KEY_VARIABLE
    from orchestration.encoders import encoder_of_day
    from orchestration.llm_endpoint import HttpEndpoint
    from serving.app import Served, serve_recommendations

    scope = open_scope(home, dataset, profile)
    key = os.environ.get(KEY_VARIABLE)
    endpoint = HttpEndpoint(scope.config.extractor, key=key) if scope.config.explanation.written_by_model else None
    served = Served(scope.home, scope.dataset, scope.config, lambda day: encoder_of_day(scope, day), endpoint)
    settings = scope.config.serving
    serve_recommendations(served, host=host or settings.host, port=settings.port if port is None else port)


def serve_features_command(
    *,
    home: Home = None,
    dataset: DatasetFile = None,
    profile: Profile = None,
    host: str = typer.Option("127.0.0.1", help="Address to listen on."),
    port: int = typer.Option(6566, help="Port to listen on."),
) -> None:
    """Serve profiles, item features and recommendations over HTTP until stopped; beyond loopback only with API keys."""
    from orchestration.feature_service import serve_features

    scope = open_scope(home, dataset, profile)
    serve_features(scope.home, config=scope.config, host=host, port=port)
