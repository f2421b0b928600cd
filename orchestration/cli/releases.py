"""`releases` and `rollback`: what was trained, what is live, and the way back."""

import typer

from orchestration.cli.options import AsJson, DatasetFile, Home, Profile, open_scope
from orchestration.cli.render import print_json, print_rows
from orchestration.scope import Scope


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command("releases", epilog="Example: interest-graph releases")(releases_command)
    app.command("rollback", epilog="Examples: interest-graph rollback; interest-graph rollback 20260601-0123456789ab")(rollback_command)


def releases_command(
    *,
    home: Home = None,
    dataset: DatasetFile = None,
    profile: Profile = None,
    promote: str | None = typer.Option(None, "--promote", help="Make this release live, past the gate."),
    as_json: AsJson = False,
) -> None:
    """List releases, newest last: which is live, and of which a day is kept online; optionally make one live."""
    scope = open_scope(home, dataset, profile)
    if promote:
        scope.releases.promote(promote, reason="promoted by hand", force=True)
    rows = release_rows(scope)
    if as_json:
        print_json(rows)
    else:
        print_rows(rows, title=f"releases of {scope.dataset.name}")


def rollback_command(
    release: str | None = typer.Argument(None, help="Release to go back to.", show_default="the one live before"),
    *,
    home: Home = None,
    dataset: DatasetFile = None,
    profile: Profile = None,
    as_json: AsJson = False,
) -> None:
    """Make an earlier release and its features live again, in seconds and while they are read; prints what is live now."""
    from orchestration.rollback import roll_back

    scope = open_scope(home, dataset, profile)
    done = roll_back(scope, release)
    online = done.generation
    row = {
        "live release": done.release.release_id,
        "online day": online.day.isoformat() if online else "none",
        "as of": online.as_of.isoformat() if online else "",
        "generation": online.generation_id if online else "",
    }
    if as_json:
        print_json(row)
    else:
        print_rows([row], title=f"live now for {scope.dataset.name}")


def release_rows(scope: Scope) -> list[dict[str, object]]:
    """One row per release, torn ones named as such, with the day of it that is or could be online and the last reason it went live for."""
    live = scope.releases.current_id()
    reasons = {line["release_id"]: line["reason"] for line in scope.releases.promotions()}
    days = days_online(scope)
    return [
        {
            "release": release_id,
            "live": release_id == live,
            "state": "torn: " + problem if problem else "whole",
            "online": days.get(release_id, ""),
            "went live because": reasons.get(release_id, "never live"),
        }
        for release_id, problem in scope.releases.inspect().items()
    ]


def days_online(scope: Scope) -> dict[str, str]:
    """By release, the newest day of it that a rollback would put online, or the day that is online now."""
    from feature_repo.generations import GenerationStore

    generations = GenerationStore(scope.home)
    complete, live_id = generations.complete(), generations.live_id()
    kept = {found.release_id: f"{found.day.isoformat()} kept" for found in complete}
    return kept | {found.release_id: f"{found.day.isoformat()} now" for found in complete if found.generation_id == live_id}
