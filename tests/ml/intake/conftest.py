"""A small shop in a folder: its dataset file and landing files, written as each test wants them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml

from ml.config.pipeline import IntakeConfig
from ml.contracts import CONTRACTS
from ml.contracts.store import TableStore
from ml.days import days_through
from ml.ids import UserIdBorder
from ml.intake.dataset import Dataset, load_dataset
from ml.intake.ingest import IngestReport, ingest
from ml.intake.validate import ValidationReport, validate, validate_file

NOW = datetime(2024, 6, 30, 12, tzinfo=UTC)
EVENT_COLUMNS = {"user_id": "user", "item_id": "item", "event_type": "type", "event_at": "ts", "value": "value", "text": "words"}
HEADER = "user,item,type,ts,value,words\n"


@dataclass
class Shop:
    """A dataset in a folder that is only written down when it is used."""

    folder: Path
    settings: dict[str, Any] = field(
        default_factory=lambda: {
            "name": "shop",
            "language": "en",
            "start": date(2024, 6, 28),
            "tables": {"events": [{"path": "events.csv", "columns": dict(EVENT_COLUMNS)}]},
            "weights": {"view": 1, "rating": "value - 3.0"},
        }
    )
    variables: dict[str, str] = field(default_factory=dict)
    now: datetime = NOW
    config: IntakeConfig = field(default_factory=lambda: IntakeConfig(threads=1, memory_limit="512MB"))
    tables: str = "tables"
    landed: Path | None = None
    # Most tests look at what an ingestion writes, whatever was there before.
    recompute: bool = True

    @property
    def events(self) -> dict[str, Any]:
        """The only source of events."""
        source: dict[str, Any] = self.settings["tables"]["events"][0]
        return source

    def file(self, name: str, content: str | bytes) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def csv(self, *lines: str, name: str = "events.csv", header: str = HEADER) -> Path:
        return self.file(name, header + "".join(f"{line}\n" for line in lines))

    @property
    def path(self) -> Path:
        return self.file("shop.yaml", yaml.safe_dump(self.settings, allow_unicode=True, sort_keys=False))

    def load(self) -> Dataset:
        return load_dataset(self.path, variables=self.variables)

    def validate(self) -> ValidationReport:
        return validate(self.load(), config=self.config, now=self.now)

    def validate_file(self) -> ValidationReport:
        return validate_file(self.path, variables=self.variables, config=self.config, now=self.now)

    @property
    def store(self) -> TableStore:
        return TableStore(self.folder / self.tables)

    def ingest(self, *days: date, border: UserIdBorder | None = None) -> IngestReport:
        """Ingest `days`, or every day from the start through now."""
        dataset = self.load()
        wanted = list(days) or list(days_through(dataset.start, self.now.date()))
        return ingest(
            dataset,
            days=wanted,
            store=self.store,
            border=border or UserIdBorder("shop"),
            config=self.config,
            now=self.now,
            landed=self.landed,
            recompute=self.recompute,
        )

    def written(self) -> dict[str, bytes]:
        """Every file of the tables folder by its name, manifests included."""
        root = self.store.root
        return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}

    def table(self, name: str, day: date | None = None) -> pa.Table:
        """A raw table as of a day (default: now), all history for a daily one."""
        contract = CONTRACTS[name]
        through = day or self.now.date()
        return self.store.read_history(contract, through=through) if contract.grain == "daily" else self.store.read(contract, day=through)

    def rows(self, name: str, *columns: str) -> list[tuple[Any, ...]]:
        table = self.table(name)
        return list(zip(*(table.column(column).to_pylist() for column in columns), strict=True))

    def reasons(self) -> list[tuple[str, int, str, str]]:
        """(file, row, column, reason) of every quarantined row."""
        return self.rows("quarantined_rows", "source_file", "source_row", "column_name", "reason")


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


@pytest.fixture
def good_lines() -> Callable[[int], Sequence[str]]:
    """Events that keep the contract, one a minute."""
    return lambda count: [f"u{k % 7},i{k % 5},view,2024-06-02 10:{k % 60:02d}:00,," for k in range(count)]
