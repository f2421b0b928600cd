"""`releases`: what was trained, what is live, and the way back."""

import typer

from orchestration.cli.options import AsJson, DatasetFile, Home, Profile, open_scope
from orchestration.cli.render import print_json, print_rows
from orchestration.scope import Scope


def register(app: typer.Typer) -> None:
    """Add this module's command."""
    app.command("releases", epilog="Examples: interest-graph releases; interest-graph releases --rollback")(releases_command)


def releases_command(
    *,
    home: Home = None,
    dataset: DatasetFile = None,
    profile: Profile = None,
    rollback: bool = typer.Option(False, "--rollback", help="Make the release before the live one live again."),
    promote: str | None = typer.Option(None, "--promote", help="Make this release live, past the gate."),
    as_json: AsJson = False,
) -> None:
    """List releases, newest last, the live one marked; optionally move the pointer."""
    scope = open_scope(home, dataset, profile)
    if rollback:
        scope.releases.rollback()
    if promote:
        scope.releases.promote(promote, reason="promoted by hand", force=True)
    rows = release_rows(scope)
    if as_json:
        print_json(rows)
    else:
        print_rows(rows, title=f"releases of {scope.dataset.name}")


def release_rows(scope: Scope) -> list[dict[str, object]]:
    """One row per release, torn ones named as such, with the last reason it went live for."""
    live = scope.releases.current_id()
    reasons = {line["release_id"]: line["reason"] for line in scope.releases.promotions()}
    return [
        {
            "release": release_id,
            "live": release_id == live,
            "state": "torn: " + problem if problem else "whole",
            "went live because": reasons.get(release_id, "never live"),
        }
        for release_id, problem in scope.releases.inspect().items()
    ]
