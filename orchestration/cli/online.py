"""`serve-features`: Feast's own feature server over the published features."""

import typer

from orchestration.cli.options import DatasetFile, Home, Profile, open_scope


def register(app: typer.Typer) -> None:
    """Add this module's command."""
    app.command("serve-features", epilog="Example: interest-graph serve-features --port 6566")(serve_features_command)


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
