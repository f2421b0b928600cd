"""`knowledge-page`, `knowledge-nodes` and `extract-knowledge`: the knowledge graph seen, asked, and fed."""

from pathlib import Path

import typer

from orchestration.cli.options import AsJson, DatasetFile, Day, Home, Profile, open_scope
from orchestration.cli.render import print_json, print_rows

KEY_VARIABLE = "INTEREST_GRAPH_LLM_KEY"


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command("knowledge-page", epilog="Example: interest-graph knowledge-page --out graph.html")(page_command)
    app.command("knowledge-nodes", epilog='Example: interest-graph knowledge-nodes "trail running shoes"')(nodes_command)
    app.command("extract-knowledge", epilog="Example: interest-graph extract-knowledge --out knowledge/extracted.parquet")(extract_command)


def page_command(
    *,
    home: Home = None,
    dataset: DatasetFile = None,
    profile: Profile = None,
    day: Day = None,
    out: Path | None = typer.Option(None, "--out", help="File to write.", show_default="reports/knowledge/<day>.html in the home"),
) -> None:
    """Write the knowledge graph as one interactive page that needs no network."""
    scope = open_scope(home, dataset, profile)
    from orchestration.knowledge import write_page

    typer.echo(write_page(scope, day=day.date() if day else None, out=out))


def nodes_command(
    text: str = typer.Argument(help="Free text."),
    *,
    home: Home = None,
    dataset: DatasetFile = None,
    profile: Profile = None,
    day: Day = None,
    k: int = typer.Option(10, "-k", min=1, help="List length."),
    as_json: AsJson = False,
) -> None:
    """Nodes of the knowledge graph for a text, by meaning (cosine) and by words (Jaccard)."""
    if not text.strip():
        raise typer.BadParameter("the text is empty; say what to look for")
    scope = open_scope(home, dataset, profile)
    from orchestration.knowledge import matching_nodes

    rows = matching_nodes(scope, text, k=k, day=day.date() if day else None)
    if as_json:
        print_json(rows)
    else:
        print_rows(rows, title=f"nodes for {text!r}")


def extract_command(
    *,
    home: Home = None,
    dataset: DatasetFile = None,
    profile: Profile = None,
    day: Day = None,
    out: Path = typer.Option(..., "--out", help="Parquet file to write; list it under knowledge: in the dataset file."),
    key: str | None = typer.Option(None, "--key", envvar=KEY_VARIABLE, help="Key of the endpoint.", hidden=True, show_default=False),
) -> None:
    """Ask a language model (extractor.url) for triples from item texts; answers are kept, so a second run asks only for new ones."""
    scope = open_scope(home, dataset, profile)
    from orchestration.knowledge import extract

    for line in extract(scope, key=key, day=day.date() if day else None, out=out):
        typer.echo(line)
