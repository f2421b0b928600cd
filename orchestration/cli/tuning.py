"""`tune`: better settings for a profile, by trial on the validation slice."""

from dataclasses import asdict, replace
from pathlib import Path

import typer

from orchestration.cli.options import AsJson, DatasetFile, Day, Home, Profile, open_environment
from orchestration.cli.render import print_json, print_rows
from orchestration.scope import Scope, load_scope


def register(app: typer.Typer) -> None:
    """Add this module's command."""
    example = "Examples: interest-graph tune --trials 20 --timeout 30; interest-graph tune --profile small --out better.yaml"
    app.command("tune", epilog=example)(tune_command)


def tune_command(
    *,
    home: Home = None,
    dataset: DatasetFile = None,
    profile: Profile = None,
    day: Day = None,
    trials: int | None = typer.Option(None, "--trials", min=1, help="Settings tried in all.", show_default="search.num_trials"),
    timeout: float | None = typer.Option(
        None, "--timeout", min=0.01, help="Minutes after which no more are tried.", show_default="search.timeout_minutes"
    ),
    out: Path | None = typer.Option(None, "--out", help="Profile to write.", show_default="profile.yaml in the study's folder"),
    as_json: AsJson = False,
) -> None:
    """Search the profile's space on a finished day, its test window unseen; a killed search goes on when asked again."""
    environment = open_environment(home, dataset, profile)
    if out is not None and out.expanduser().resolve() == environment.profile:
        raise typer.BadParameter(f"--out is the profile itself, {out}; write the new one beside it")
    scope = _with_wishes(load_scope(environment), trials=trials, timeout=timeout)
    typer.echo(f"interest-graph: searching from {environment.profile.name} for {scope.dataset.name}, state in {scope.home.base}", err=True)
    from orchestration.tuning import conclusion, setting_rows, tune

    found = tune(
        scope,
        profile=environment.profile,
        day=day.date() if day else None,
        out=out.expanduser() if out else None,
        log=lambda line: typer.echo(line, err=True),
    )
    rows = setting_rows(found, config=scope.config)
    if as_json:
        print_json({**asdict(found), "holds": found.verdict.holds, "settings": rows, "conclusion": conclusion(found.verdict)})
        return
    print_rows(rows, title=f"{scope.dataset.name} {found.day}: the best of {len(found.attempts)} trials")
    typer.echo(conclusion(found.verdict))
    typer.echo(str(found.written) if found.written else "no profile was written")


def _with_wishes(scope: Scope, *, trials: int | None, timeout: float | None) -> Scope:
    """The scope with what the command line says of the search laid over its profile's."""
    wishes = {name: value for name, value in (("num_trials", trials), ("timeout_minutes", timeout)) if value is not None}
    search = scope.config.search.model_copy(update=wishes)
    return replace(scope, config=scope.config.model_copy(update={"search": search}))
