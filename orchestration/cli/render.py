"""How commands print: aligned tables for people, JSON for programs."""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import typer
from rich.console import Console
from rich.table import Table

# Where output is no terminal (a file, a pipe, CI), tables keep their columns whole.
CONSOLE = Console(width=None if sys.stdout.isatty() else 160, highlight=False)


def print_json(value: object) -> None:
    """A value as JSON, dates in ISO, Chinese as itself."""
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2, default=str))


def print_rows(rows: Sequence[Mapping[str, Any]], *, title: str | None = None) -> None:
    """Rows as an aligned table, columns as in the first row."""
    if not rows:
        CONSOLE.print(f"{title or 'result'}: nothing")
        return
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for name in rows[0]:
        table.add_column(name.replace("_", " "), justify="right" if isinstance(rows[0][name], int | float) else "left", overflow="fold")
    for row in rows:
        table.add_row(*(_cell(value) for value in row.values()))
    CONSOLE.print(table)


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4f}"
    if isinstance(value, list | tuple):
        return ", ".join(_cell(entry) for entry in value)
    return "" if value is None else str(value)
