"""What a new day costs: against making the same day from an empty home, and against asking for it twice.

Day 61 of the sample lands in a home that has day 60, and in an empty one; both make the
same bytes, which is checked. Then day 61 is asked for again, as a backfill would.
Processor seconds of the program and its children; wall seconds drift on shared cores.

python -m benchmarks.day_cost [--quick] [--json FILE]
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path

from benchmarks.program import Finished, environment, run_program
from benchmarks.report import Options, Row, parse_options, publish
from examples.shop.simulate import SampleSettings, write_sample
from ml.contracts.files import sha256_of

DAYS = 61
QUICK = SampleSettings(num_users=300, num_items=300, num_days=DAYS)


def main(options: Options) -> None:
    """Simulate, hold the last day back, run, let it land, run again."""
    settings = QUICK if options.quick else SampleSettings(num_days=DAYS)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        dataset_file = write_sample(root / "landing", settings=settings)
        day = settings.last_day
        with held_back(dataset_file.parent / "events" / f"{day}.csv.gz"):
            checked(run_program("run", "--day", str(day - timedelta(days=1)), environ=environ(root / "grown", dataset_file)))
        grown = checked(run_program("run", "--day", str(day), environ=environ(root / "grown", dataset_file)))
        again = checked(run_program("backfill", str(day), str(day), environ=environ(root / "grown", dataset_file)))
        fresh = checked(run_program("run", "--day", str(day), environ=environ(root / "fresh", dataset_file)))
        same = hashes(root / "grown", day) == hashes(root / "fresh", day)
    rows = [
        row("day 61 from an empty home", fresh, full=fresh),
        row("day 61 after day 60", grown, full=fresh),
        row("day 61 asked for again", again, full=fresh),
    ]
    notes = [f"the first two made {'the same bytes' if same else 'DIFFERENT BYTES'}", "share: of the processor seconds of the first row"]
    publish("day_cost", rows, options=options, notes=notes)


def environ(home: Path, dataset_file: Path) -> dict[str, str]:
    """A run's environment with the simulated landing files."""
    return {**environment(home), "INTEREST_GRAPH_DATASET": str(dataset_file)}


@contextmanager
def held_back(path: Path) -> Iterator[None]:
    """A file that is not there yet within the block, and has just arrived after it."""
    aside = path.parent.parent / path.name
    path.rename(aside)
    yield
    aside.rename(path)
    os.utime(path)


def checked(finished: Finished) -> Finished:
    """The run, if it succeeded; raises with its last words otherwise."""
    if finished.code != 0:
        raise RuntimeError(finished.log[-2000:])
    return finished


def row(name: str, finished: Finished, *, full: Finished) -> Row:
    """Cost of one run, how much of it dbt and the encoder did, and its share of the full one."""
    return {
        "run": name,
        "CPU s": finished.cpu_seconds,
        "wall s": finished.wall_seconds,
        "share": finished.cpu_seconds / full.cpu_seconds,
        "peak GiB": finished.peak_bytes / 2**30,
        "dbt asked": "dbt is not asked" not in finished.log,
    }


def hashes(home: Path, day: date) -> dict[str, str]:
    """sha256 of every table of a day."""
    tables = sorted(home.glob(f"*/tables/*/{day}.parquet"))
    return {str(path.relative_to(home)): sha256_of(path) for path in tables}


if __name__ == "__main__":
    main(parse_options(__doc__))
