"""The bundled sample, simulated once, and its landing files as plain tables."""

import gzip
import json
from dataclasses import dataclass
from datetime import date
from io import BytesIO
from pathlib import Path

import pandas as pd
import pytest

from examples.shop.flaws import BROKEN, ODD
from examples.shop.settings import SampleSettings
from examples.shop.simulate import write_sample
from examples.shop.truth import Truth, read_rows, read_truth

FLAWED = {what for _, what, _, _, _ in (*BROKEN, *ODD)}


@dataclass(frozen=True)
class LandedSample:
    """A written sample: its folder, its good events (flawed rows left out) and its catalogue, read back."""

    directory: Path
    settings: SampleSettings
    events: pd.DataFrame
    items: pd.DataFrame
    truth: Truth

    @property
    def shift_day(self) -> date:
        """First day of the shifted week."""
        return date.fromordinal(self.settings.first_day.toordinal() + self.settings.shift_day)


def read_lines(path: Path) -> list[bytes]:
    """Lines of a file, unpacked, without line ends."""
    content = path.read_bytes()
    return (gzip.decompress(content) if path.suffix == ".gz" else content).splitlines()


def land(directory: Path, settings: SampleSettings) -> LandedSample:
    """Write a sample and read back what a careful reader would keep of it."""
    write_sample(directory, settings=settings)
    flawed = {(row["file"], int(row["row"])) for name in ("broken", "odd") for row in read_rows(directory / "truth" / f"{name}_rows.csv")}
    tables = [_actions(directory, flawed), _feedback(directory, flawed), _searches(directory)]
    events = pd.concat(tables, ignore_index=True)
    events["at"] = pd.to_datetime(events["at"], utc=True, format="ISO8601")
    events["day"] = events["at"].dt.date
    items = pd.DataFrame([json.loads(line) for line in read_lines(directory / "catalogue" / "items.jsonl")])
    items["category"] = items["department"] + " > " + items["shelf"]
    items["listed_at"] = pd.to_datetime(items["listed_at"], utc=True)
    return LandedSample(directory, settings, events.sort_values("at", ignore_index=True), items, read_truth(directory))


def _actions(directory: Path, flawed: set[tuple[str, int]]) -> pd.DataFrame:
    parts = []
    for path in sorted((directory / "events").iterdir()):
        name = path.relative_to(directory).as_posix()
        header, *rows = read_lines(path)
        kept = [row for number, row in enumerate(rows, 1) if (name, number) not in flawed]
        parts.append(pd.read_csv(BytesIO(b"\n".join([header, *kept])), dtype=str))
    renamed = {"occurred_at": "at", "customer": "user_id", "sku": "item_id", "action": "kind"}
    return pd.concat(parts, ignore_index=True).rename(columns=renamed)


def _feedback(directory: Path, flawed: set[tuple[str, int]]) -> pd.DataFrame:
    rows = []
    for path in sorted((directory / "feedback").iterdir()):
        name = path.relative_to(directory).as_posix()
        rows += [json.loads(row) for number, row in enumerate(read_lines(path), 1) if (name, number) not in flawed]
    renamed = {"posted_at": "at", "customer": "user_id", "sku": "item_id", "body": "text"}
    return pd.DataFrame(rows).rename(columns=renamed)


def _searches(directory: Path) -> pd.DataFrame:
    renamed = {"searched_at": "at", "customer": "user_id", "query": "text"}
    return pd.read_csv(directory / "searches.csv", dtype=str).rename(columns=renamed).assign(kind="search")


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> LandedSample:
    """The sample as `make run` gets it."""
    return land(tmp_path_factory.mktemp("shop"), SampleSettings())
