"""`prepare`, `validate` and `run`: from landing files to everything."""

import contextlib
import sys
from datetime import UTC, datetime

import typer

from orchestration.cli.options import AsJson, DatasetFile, Day, Home, Profile, open_environment, open_scope
from orchestration.cli.render import print_json, print_rows


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command("run", epilog="Example: interest-graph run --dataset examples/movielens.yaml --day 2018-09-24")(run_command)
    app.command("validate", epilog="Example: interest-graph validate --dataset my-shop.yaml")(validate_command)
    app.command("prepare", hidden=True)(prepare_command)


def run_command(
    *,
    home: Home = None,
    dataset: DatasetFile = None,
    profile: Profile = None,
    day: Day = None,
    force: bool = typer.Option(False, "--force", help="Compute again although nothing changed."),
    as_json: AsJson = False,
) -> None:
    """Bring one day of a dataset up to date and say what was made."""
    scope = open_scope(home, dataset, profile)
    from orchestration.report import print_report, report
    from orchestration.run import newest_day, run

    wanted = day.date() if day else newest_day(scope)
    if wanted < scope.dataset.start:
        raise typer.BadParameter(f"{wanted.isoformat()} lies before the dataset's start, {scope.dataset.start.isoformat()}")
    typer.echo(f"interest-graph: {scope.dataset.name}, {wanted.isoformat()}, state in {scope.home.base}", err=True)
    # What dbt and Dagster print goes where logs go; standard output is the report alone.
    with contextlib.redirect_stdout(sys.stderr):
        outcome = run(scope, day=wanted, force=force)
    found = report(scope, outcome=outcome)
    if as_json:
        print_json(found)
    else:
        print_report(found)


def validate_command(*, home: Home = None, dataset: DatasetFile = None, profile: Profile = None, as_json: AsJson = False) -> None:
    """Say everything that is wrong with a dataset file and its files, with the place and the mend."""
    environment = open_environment(home, dataset, profile)
    from ml.config import load_profile
    from ml.intake.validate import validate_file

    config = load_profile(environment.profile)
    found = validate_file(environment.dataset_file, variables=environment.variables, config=config.intake, now=datetime.now(UTC))
    if as_json:
        print_json(found.as_dict())
    else:
        print_rows(found.rows(), title=str(environment.dataset_file))
        for number, finding in enumerate(found.findings, 1):
            typer.echo(f"{number}. {finding}")
        for hint in found.hints:
            typer.echo(f"hint: {hint}")
    if found.findings:
        raise typer.Exit(2)


def prepare_command(*, home: Home = None, dataset: DatasetFile = None, profile: Profile = None) -> None:
    """Make ready what Dagster loads: the sample, the instance folder, dbt's manifest."""
    from orchestration.dbt_project import manifest_path
    from orchestration.instance import prepare_instance

    scope = open_scope(home, dataset, profile)
    prepare_instance(scope.home.root)
    manifest_path(scope.home.root)
