"""Options that every command shares, and the scope they name."""

import os
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from orchestration.environment import Environment, read_environment, sample_dataset_file
from orchestration.scope import Scope, load_scope

Home = Annotated[
    Path | None, typer.Option("--home", envvar="INTEREST_GRAPH_HOME", help="Folder of all state.", show_default=".interest-graph")
]
DatasetFile = Annotated[
    Path | None, typer.Option("--dataset", envvar="INTEREST_GRAPH_DATASET", help="Dataset file.", show_default="the bundled sample")
]
Profile = Annotated[
    str | None, typer.Option("--profile", envvar="INTEREST_GRAPH_PROFILE", help="Profile name or path.", show_default="default")
]
Day = Annotated[datetime | None, typer.Option("--day", formats=["%Y-%m-%d"], help="Day YYYY-MM-DD.", show_default="the newest")]
Force = Annotated[bool, typer.Option("--force", help="Compute again although nothing changed.")]
Accept = Annotated[bool, typer.Option("--accept", help="Go on although the newest day's input is not as usual.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def open_environment(home: Path | None, dataset: Path | None, profile: str | None) -> Environment:
    """The environment with the given options laid over it; simulates the bundled sample if that is meant and not there yet."""
    given = {"INTEREST_GRAPH_HOME": home, "INTEREST_GRAPH_DATASET": dataset, "INTEREST_GRAPH_PROFILE": profile}
    environment = read_environment({**os.environ, **{name: str(value) for name, value in given.items() if value is not None}})
    if environment.dataset_file == sample_dataset_file(environment.home) and not environment.dataset_file.exists():
        from examples.shop.simulate import SampleSettings, write_sample

        typer.echo("simulating the bundled sample ...", err=True)
        write_sample(environment.dataset_file.parent, settings=SampleSettings())
    return environment


def open_scope(home: Path | None, dataset: Path | None, profile: str | None) -> Scope:
    """The scope the options name."""
    return load_scope(open_environment(home, dataset, profile))
