"""`recommend`, `profile`, `similar`, `picture` and `evaluate`: what the last run made."""

from pathlib import Path

import typer

from orchestration.cli.options import AsJson, DatasetFile, Day, Home, Profile, open_scope
from orchestration.cli.render import print_json, print_rows

SEGMENTS = ("all", "warm_users", "cold_users", "cold_items", "head_items", "tail_items")


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command("recommend", epilog='Examples: interest-graph recommend --user u00042; interest-graph recommend --query "warm jacket"')(
        recommend_command
    )
    app.command("profile", epilog="Example: interest-graph profile u00042 --json")(profile_command)
    app.command("similar", epilog="Examples: interest-graph similar --item i0007; interest-graph similar --user u00042")(similar_command)
    app.command(
        "picture",
        epilog="Examples: interest-graph picture --user u00042 --out user.png; interest-graph picture --item i0007 --out item.png",
    )(picture_command)
    app.command("evaluate", epilog="Example: interest-graph evaluate --segment cold_users")(evaluate_command)


def recommend_command(
    *,
    home: Home = None,
    dataset: DatasetFile = None,
    profile: Profile = None,
    day: Day = None,
    user: str | None = typer.Option(None, "--user", help="User id."),
    query: str | None = typer.Option(None, "--query", help="Free text, any language the encoder knows."),
    k: int = typer.Option(10, "-k", min=1, help="List length."),
    as_json: AsJson = False,
) -> None:
    """Recommend for a user, or for a text, each item with its reason."""
    if (user is None) == (query is None):
        raise typer.BadParameter("give either --user or --query")
    if query is not None and not query.strip():
        raise typer.BadParameter("--query is empty; say what to look for")
    scope = open_scope(home, dataset, profile)
    from orchestration.answers import query_answers, recommendations

    when = day.date() if day else None
    rows = recommendations(scope, user, k=k, day=when) if user is not None else query_answers(scope, query or "", k=k, day=when)
    _print(rows, title=f"recommendations for {user or query!r}", as_json=as_json)


def profile_command(
    user: str = typer.Argument(help="User id."),
    *,
    home: Home = None,
    dataset: DatasetFile = None,
    profile: Profile = None,
    day: Day = None,
    as_json: AsJson = False,
) -> None:
    """A user's named interests and activity."""
    scope = open_scope(home, dataset, profile)
    from orchestration import answers

    found = answers.profile(scope, user, day=day.date() if day else None)
    if as_json:
        print_json(found)
    else:
        print_rows([{"field": name, "value": value} for name, value in found.items()], title=f"profile of {user}")


def similar_command(
    *,
    home: Home = None,
    dataset: DatasetFile = None,
    profile: Profile = None,
    day: Day = None,
    item: str | None = typer.Option(None, "--item", help="Item id."),
    user: str | None = typer.Option(None, "--user", help="User id."),
    k: int = typer.Option(10, "-k", min=1, help="List length."),
    as_json: AsJson = False,
) -> None:
    """Items like an item, or people of like interests."""
    if (user is None) == (item is None):
        raise typer.BadParameter("give either --item or --user")
    scope = open_scope(home, dataset, profile)
    from orchestration import answers

    kind, identifier = ("item", item) if item is not None else ("user", user or "")
    rows = answers.similar(scope, kind=kind, identifier=identifier, k=k, day=day.date() if day else None)
    _print(rows, title=f"like {kind} {identifier}", as_json=as_json)


def picture_command(
    *,
    home: Home = None,
    dataset: DatasetFile = None,
    profile: Profile = None,
    day: Day = None,
    user: str | None = typer.Option(None, "--user", help="User id."),
    item: str | None = typer.Option(None, "--item", help="Item id."),
    out: Path = typer.Option(..., "--out", help="PNG file to write."),
) -> None:
    """Draw what a user or an item is joined to in the interest graph, strongest first."""
    if (user is None) == (item is None):
        raise typer.BadParameter("give either --user or --item")
    scope = open_scope(home, dataset, profile)
    from orchestration.pictures import write_ego_picture

    kind, identifier = ("item", item) if item is not None else ("user", user or "")
    typer.echo(write_ego_picture(scope, kind=kind, identifier=identifier, day=day.date() if day else None, out=out))


def evaluate_command(
    *,
    home: Home = None,
    dataset: DatasetFile = None,
    profile: Profile = None,
    day: Day = None,
    segment: str = typer.Option("all", "--segment", help="all, warm_users, cold_users, cold_items, head_items or tail_items."),
    as_json: AsJson = False,
) -> None:
    """The metric table of a day against its baselines, and the paired differences."""
    scope = open_scope(home, dataset, profile)
    from orchestration import answers

    when = day.date() if day else None
    metrics = answers.metric_rows(scope, day=when, segment=segment)
    if not metrics and segment not in SEGMENTS:
        raise typer.BadParameter(f"no segment {segment}; there are {', '.join(SEGMENTS)}")
    differences = answers.comparison_rows(scope, day=when)
    if as_json:
        print_json({"metrics": metrics, "differences": differences})
        return
    print_rows(metrics, title=f"{scope.dataset.name}, segment {segment}")
    print_rows(differences, title="paired differences, all users")


def _print(rows: list[dict[str, object]], *, title: str, as_json: bool) -> None:
    if as_json:
        print_json(rows)
    else:
        print_rows(rows, title=title)
