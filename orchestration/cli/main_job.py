"""`prepare`, `validate` and `run`: from landing files to everything."""

import contextlib
import sys
from datetime import UTC, date, datetime
from typing import Annotated

import typer

from ml.days import last_complete_day
from orchestration.cli.options import Accept, AsJson, DatasetFile, Day, Force, Home, Profile, open_environment, open_scope
from orchestration.cli.render import print_json, print_rows
from orchestration.scope import Scope


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command("run", epilog="Example: interest-graph run --dataset examples/movielens.yaml --day 2018-09-24")(run_command)
    app.command("backfill", epilog="Example: interest-graph backfill 2024-03-01 2024-04-29")(backfill_command)
    app.command("validate", epilog="Example: interest-graph validate --dataset my-shop.yaml")(validate_command)
    app.command("prepare", hidden=True)(prepare_command)


def run_command(
    *,
    home: Home = None,
    dataset: DatasetFile = None,
    profile: Profile = None,
    day: Day = None,
    force: Force = False,
    accept: Accept = False,
    as_json: AsJson = False,
) -> None:
    """Bring one day of a dataset up to date and say what was made."""
    scope = open_scope(home, dataset, profile)
    from orchestration.report import print_report, report
    from orchestration.run import newest_day, run

    wanted = day.date() if day else newest_day(scope)
    _require_complete(scope, wanted)
    typer.echo(f"interest-graph: {scope.dataset.name}, {wanted.isoformat()}, state in {scope.home.base}", err=True)
    # What dbt and Dagster print goes where logs go; standard output is the report alone.
    with contextlib.redirect_stdout(sys.stderr):
        outcome = run(scope, day=wanted, force=force, accept=accept)
    found = report(scope, outcome=outcome)
    if as_json:
        print_json(found)
    else:
        print_report(found)


def backfill_command(
    first: Annotated[datetime, typer.Argument(formats=["%Y-%m-%d"], help="First day.")],
    last: Annotated[datetime, typer.Argument(formats=["%Y-%m-%d"], help="Last day, included.")],
    *,
    home: Home = None,
    dataset: DatasetFile = None,
    profile: Profile = None,
    force: Force = False,
    accept: Accept = False,
    as_json: AsJson = False,
) -> None:
    """Bring every day of a range up to date in one run; days that nothing changed for stay as they are."""
    scope = open_scope(home, dataset, profile)
    from orchestration.run import backfill

    for day in (first.date(), last.date()):
        _require_complete(scope, day)
    if last < first:
        raise typer.BadParameter(f"the last day, {last.date()}, lies before the first, {first.date()}")
    with contextlib.redirect_stdout(sys.stderr):
        outcome = backfill(scope, first=first.date(), last=last.date(), recompute=force, accept=accept)
    found = {"dataset": scope.dataset.name, "first": str(first.date()), "last": str(last.date()), "seconds": outcome.seconds}
    if as_json:
        print_json({**found, "failed_checks": list(outcome.failed_checks)})
    else:
        print_rows([found], title="backfill")
        for check in outcome.failed_checks:
            typer.echo(f"check not passed: {check}")


def _require_complete(scope: Scope, day: date) -> None:
    newest = last_complete_day(datetime.now(UTC))
    if day > newest:
        raise typer.BadParameter(f"{day.isoformat()} is not complete yet; the last complete day is {newest.isoformat()} (UTC)")
    if day < scope.dataset.start:
        raise typer.BadParameter(f"{day.isoformat()} lies before the dataset's start, {scope.dataset.start.isoformat()}")


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
