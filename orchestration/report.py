"""What a finished run made: metrics, one user's profile and recommendations, where things lie."""

from typing import Any

import pyarrow.compute as pc

from orchestration import answers
from orchestration.cli.render import CONSOLE, print_rows
from orchestration.run import RunOutcome
from orchestration.scope import Scope


def report(scope: Scope, *, outcome: RunOutcome) -> dict[str, Any]:
    """Everything worth knowing after a run, as plain values."""
    day = outcome.day
    user_id = example_user(scope, outcome=outcome)
    decision = answers.read_table(scope, "release_decisions", day=day).to_pylist()[0]
    return {
        "dataset": scope.dataset.name,
        "day": day.isoformat(),
        "options": f"--home {scope.home.root} --dataset {scope.dataset.path}",
        "reused": outcome.reused,
        "rows_kept_out": answers.read_table(scope, "quarantined_rows", day=day).num_rows,
        "seconds": outcome.seconds,
        "failed_checks": list(outcome.failed_checks),
        "metrics": answers.metric_rows(scope, day=day),
        "differences": answers.comparison_rows(scope, day=day),
        "release": decision,
        "user": answers.profile(scope, user_id, day=day) if user_id else None,
        "recommendations": answers.recommendations(scope, user_id, k=5, day=day) if user_id else [],
        "places": {
            "tables": str(scope.home.tables),
            "releases": str(scope.home.releases),
            "feature store": str(scope.home.feature_store),
            "drift report": str(scope.home.reports / f"drift-{day.isoformat()}.html"),
        },
    }


def example_user(scope: Scope, *, outcome: RunOutcome) -> str | None:
    """A user with a personal list and a profile of middling length; None where nobody has a list."""
    table = answers.read_table(scope, "recommendations", day=outcome.day)
    personal = table.filter(pc.equal(table.column("rung"), "personal"))
    users = (personal if personal.num_rows else table).column("user_id").unique().sort().to_pylist()
    return scope.border.outward(users[len(users) // 2]) if users else None


def print_report(found: dict[str, Any]) -> None:
    """The report for a person."""
    made = "nothing changed since the last run; reused" if found["reused"] else "computed"
    CONSOLE.print(f"\n[bold]{found['dataset']} {found['day']}[/bold]: {made} ({found['seconds']:.0f} s)\n")
    print_rows(found["metrics"], title="full ranking on the newest interactions, trained on all before")
    CONSOLE.print()
    print_rows(found["differences"], title="our model minus baseline, paired by user")
    CONSOLE.print(f"\n[bold]gate[/bold]: {found['release']['reason']}\n")
    if found["user"]:
        for prefix, said in (("", "likes"), ("recent_", "likes lately")):
            weights = zip(found["user"][f"{prefix}interest_names"], found["user"][f"{prefix}interest_weights"], strict=True)
            named = ", ".join(f"{name} {weight:.2f}" for name, weight in weights)
            CONSOLE.print(f"[bold]{found['user']['user_id']}[/bold] {said} {named or 'nothing named'}")
        print_rows([{key: row[key] for key in ("rank", "title", "reason")} for row in found["recommendations"]], title="recommended")
    if found["rows_kept_out"]:
        CONSOLE.print(f"[bold]rows kept out[/bold]: {found['rows_kept_out']}; file, line and mend: table quarantined_rows, or validate")
    for check in found["failed_checks"]:
        CONSOLE.print(f"[bold]check not passed[/bold]: {check}")
    CONSOLE.print("\n[bold]where things lie[/bold]")
    for name, place in found["places"].items():
        CONSOLE.print(f"  {name:<14} {place}", soft_wrap=True)
    CONSOLE.print("\n[bold]what next[/bold]")
    CONSOLE.print("  make dev                              Dagster's UI on http://127.0.0.1:3000: assets, runs, backfills")
    CONSOLE.print("  make serve                            recommendations over HTTP, with a page to try them, on http://127.0.0.1:8000")
    CONSOLE.print(
        f'  .venv/bin/interest-graph recommend {found["options"]} --query "..."   free text; --help shows every command', soft_wrap=True
    )
