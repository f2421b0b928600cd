"""A home with literal raw tables, and dbt run on it as a process of its own."""

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from ml.contracts import CONTRACTS, TableContract
from ml.contracts.behaviour import MART_TABLES
from ml.contracts.store import TableStore
from ml.days import as_of

FIRST_DAY = date(2024, 3, 1)
DAY_2 = date(2024, 3, 2)
DAY_3 = date(2024, 3, 3)
WEIGHTS = {"view": 1, "purchase": 4, "rating": "value - 3.0", "search": "0.5"}


def at(instant: str) -> datetime:
    return datetime.fromisoformat(instant).replace(tzinfo=UTC)


def event(event_id: str, user_id: str, item_id: str | None, event_type: str, instant: str, **fields: Any) -> dict[str, Any]:
    given = {"event_id": event_id, "user_id": user_id, "item_id": item_id, "event_type": event_type, "event_at": at(instant)}
    return {**given, "source_file": "events.csv", "source_row": 1, "is_superseded": False, **fields}


def item(item_id: str, title: str, **fields: Any) -> dict[str, Any]:
    return {"item_id": item_id, "title": title, "tags": [], "source_file": "items.csv", "source_row": 1, **fields}


def table_of(contract: TableContract, rows: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=pa.schema([(column.name, column.dtype) for column in contract.columns]))


FIRST_EVENTS = [
    event("e1", "ann", "tea", "view", "2024-02-10T10:00:00"),
    event("e2", "ann", "tea", "rating", "2024-03-01T09:00:00", value=5.0, text="\u3000很香的茶 "),
    event("e3", "bob", "cup", "purchase", "2024-03-01T10:00:02", source_file="a.csv", source_row=1, is_superseded=True),
    event("e3", "bob", "cup", "purchase", "2024-03-01T10:00:01", source_file="a.csv", source_row=2),
    event("e9", "ann", "cup", "view", "2024-03-01T11:00:00", is_superseded=True),
    event("e4", "cat", None, "search", "2024-03-01T23:59:59.999999", text="绿茶"),
]
SECOND_EVENTS = [
    event("e5", "ann", "tea", "rating", "2024-03-02T00:00:00", value=1.0, text="tasted of soap"),
    event("e6", "ann", "tea", "view", "2024-03-02T00:10:00", text=" \t\n"),
    event("e9", "ann", "cup", "view", "2024-03-02T12:00:00"),
    event("e1", "ann", "tea", "purchase", "2024-03-02T12:30:00", is_superseded=True),
    event("e7", "bob", "mug", "rating", "2024-03-02T13:00:00", text="nice handle", session_id="s"),
    event("e8", "bob", "mug", "view", "2024-03-02T23:00:00", session_id="s"),
]
ITEM_VERSIONS = [
    item("tea", "茶", tags=["drink", "热饮"]),
    item("cup", "Cup", text="holds tea", category="kitchen > cups", created_at=at("2024-03-02T00:00:00"), source_row=2),
    item("cup", "Cup, blue", text="holds tea", attributes='{"colour": "blue"}', created_at=at("2024-03-02T09:00:00"), source_row=3),
]


@dataclass(frozen=True)
class Home:
    """One dataset's folder with its tables and its warehouse file."""

    root: Path

    @property
    def tables(self) -> TableStore:
        return TableStore(self.root / "tables")

    def write(self, name: str, rows: list[dict[str, Any]], *, day: date) -> None:
        self.tables.write(CONTRACTS[name], table_of(CONTRACTS[name], rows), day=day)

    def write_raw(self, day: date, *, events: list[dict[str, Any]]) -> None:
        self.write("raw_events", events, day=day)
        self.write("raw_items", [version for version in ITEM_VERSIONS if version.get("created_at", at("2024-01-01")) < as_of(day)], day=day)
        self.write("raw_users", [{"user_id": "ann", "source_file": "users.csv", "source_row": 1}], day=day)
        self.write("raw_knowledge", [], day=day)

    def build(self, start: date, end: date, *arguments: str, first: date = FIRST_DAY) -> subprocess.CompletedProcess[str]:
        """`dbt build` of the days from `start` through `end`; DuckDB makes no folders, so its caller does."""
        for contract in MART_TABLES:
            self.tables.directory(contract.name).mkdir(parents=True, exist_ok=True)
        days = {"first_day": str(first), "start_day": str(start), "end_day": str(end)}
        variables = {"tables_root": str(self.tables.root), **days, "weights": WEIGHTS}
        project = str(Path(__file__).parents[2] / "transforms")
        command = [str(Path(sys.executable).with_name("dbt")), "--no-use-colors", "build", *arguments]
        command += ["--project-dir", project, "--profiles-dir", project, "--vars", json.dumps(variables)]
        command += ["--target-path", str(self.root / "target"), "--log-path", str(self.root / "logs")]
        # A time zone far from UTC: no day may depend on where the machine stands.
        environment = {**os.environ, "INTEREST_GRAPH_WAREHOUSE": str(self.root / "warehouse.duckdb"), "TZ": "Asia/Shanghai"}
        return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)

    def rows(self, name: str, day: date) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.tables.read(CONTRACTS[name], day=day).to_pylist()
        return rows

    def hashes(self) -> dict[str, str]:
        """sha256 of every mart file by `<mart>/<day>`."""
        files = [file for contract in MART_TABLES for file in self.tables.directory(contract.name).iterdir()]
        return {f"{file.parent.name}/{file.stem}": hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(files)}

    def artifact(self, name: str) -> dict[str, Any]:
        """A file of dbt's target folder: manifest or run_results."""
        content: dict[str, Any] = json.loads((self.root / "target" / f"{name}.json").read_text(encoding="utf-8"))
        return content


NO_UNIT_TESTS = ("--exclude-resource-type", "unit_test")


def new_home(root: Path) -> Home:
    home = Home(root)
    for day, events in ((FIRST_DAY, FIRST_EVENTS), (DAY_2, SECOND_EVENTS), (DAY_3, [])):
        home.write_raw(day, events=events)
    return home


def succeeded(run: subprocess.CompletedProcess[str]) -> bool:
    assert run.returncode == 0, run.stdout[-6000:] + run.stderr[-2000:]
    return True
