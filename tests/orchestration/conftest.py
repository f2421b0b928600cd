"""A small world run once through the whole chain, shared by the tests of the edge."""

import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import pytest

from examples.shop.simulate import SampleSettings, write_sample
from orchestration.environment import read_environment
from orchestration.scope import Scope, load_scope

from .forked_runs import ForkedRuns, Run

# Long enough in every stage for a kill to fall inside it, and a release that passes the gate.
WATCHED_PROFILE = """
interests: {max_keyphrases: 200}
model: {embedding_size: 16, epochs: 20, patience: 20, batch_size: 128, num_negatives: 64}
evaluation: {num_bootstrap: 200, gate_min_users: 5}
ranking: {top_k: 10, num_similar: 5}
monitoring: {max_sample: 1000}
"""


@dataclass(frozen=True)
class World:
    """A home folder with a simulated dataset, and the environment that names them."""

    home: Path
    dataset_file: Path
    first: date
    last: date
    environ: dict[str, str]

    def scope(self) -> Scope:
        """The world's scope."""
        return load_scope(read_environment(self.environ))

    def hashes(self, *days: date) -> dict[str, str]:
        """sha256 of every file that belongs to one of `days` (default: any): tables, manifests, encoders, candidates, releases."""
        base = self.scope().home.base
        names = {form for day in days for form in (f"{day}", f"{day:%Y%m%d}")}
        found = {}
        for folder in ("tables", "encoders", "candidates", "releases"):
            for path in sorted((base / folder).rglob("*")):
                place = path.relative_to(base)
                # What is live, and how it came to be, is of now and of no day.
                if not path.is_file() or place.name in {"current", "promotions.jsonl"}:
                    continue
                if not names or any(part.startswith(name) for part in place.parts for name in names):
                    found[str(place)] = hashlib.sha256(path.read_bytes()).hexdigest()
        return found

    def day(self, number: int) -> date:
        """The dataset's first day plus `number` days."""
        return self.first + timedelta(days=number)

    def elsewhere(self, home: Path) -> "World":
        """The same landing files with another, empty home."""
        environ = {**self.environ, "INTEREST_GRAPH_HOME": str(home), "DAGSTER_HOME": str(home / "dagster")}
        return World(home, self.dataset_file, self.first, self.last, environ)

    def copied(self, home: Path) -> "World":
        """The same landing files with a copy of everything made from them: what a test leaves there troubles no other."""
        shutil.copytree(self.home, home)
        for path in home.rglob("feature_store.yaml"):
            path.write_text(path.read_text().replace(str(self.home), str(home)))
        return self.elsewhere(home)


def make_world(folder: Path, *, num_days: int = 14) -> World:
    """Simulate a small shop below `folder`."""
    settings = SampleSettings(num_users=120, num_items=150, num_days=num_days)
    dataset_file = write_sample(folder / "landing", settings=settings)
    environ = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("INTEREST_GRAPH", "DAGSTER_HOME"))},
        "INTEREST_GRAPH_HOME": str(folder / "home"),
        "INTEREST_GRAPH_DATASET": str(dataset_file),
        "INTEREST_GRAPH_PROFILE": "small",
        "DAGSTER_HOME": str(folder / "home" / "dagster"),
    }
    scope = load_scope(read_environment(environ))
    return World(folder / "home", dataset_file, scope.dataset.start, settings.last_day, environ)


SEARCHER = "searcher"
Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def command(repository) -> Command:
    """The command line as a user calls it, in a process of its own."""

    def run(world: World, *arguments: str) -> subprocess.CompletedProcess[str]:
        program = repository / ".venv" / "bin" / "interest-graph"
        return subprocess.run([str(program), *arguments], env=world.environ, cwd=repository, capture_output=True, text=True, check=False)

    return run


@pytest.fixture(scope="session")
def new_world(tmp_path_factory) -> Callable[..., World]:
    """Simulates a world of its own for a test."""
    return lambda name, **settings: make_world(tmp_path_factory.mktemp(name), **settings)


@pytest.fixture(scope="session")
def finished_world(new_world, command) -> World:
    """A world whose last day `interest-graph run` has made; `SEARCHER` has done nothing but search in it."""
    world = new_world("finished")
    with (world.dataset_file.parent / "searches.csv").open("a", encoding="utf-8") as searches:
        searches.write(
            f"{world.last}T05:00:00Z,{SEARCHER},camping lantern,v-searched\n{world.last}T06:00:00Z,{SEARCHER},露营 帐篷,v-searched\n"
        )
    done = command(world, "run")
    assert done.returncode == 0, done.stderr[-4000:] + done.stdout[-2000:]
    return world


@dataclass(frozen=True)
class Undisturbed:
    """The last two days of a small world, made by one run that nothing happened to."""

    world: World
    run: Run
    hashes: dict[str, str]

    @property
    def arguments(self) -> tuple[str, ...]:
        """What the run was asked for."""
        return ("backfill", str(self.world.day(8)), str(self.world.last))


@pytest.fixture(scope="session")
def forked(repository) -> Iterator[ForkedRuns]:
    """The process from which runs are forked."""
    server = ForkedRuns({**os.environ, "PYTHONPATH": str(repository)})
    yield server
    server.close()


@pytest.fixture(scope="session")
def undisturbed(new_world, forked, tmp_path_factory) -> Undisturbed:
    """What runs that are killed, starved or given a broken warehouse must come to."""
    folder = tmp_path_factory.mktemp("profile")
    (folder / "watched.yaml").write_text(WATCHED_PROFILE)
    world = new_world("undisturbed", num_days=10)
    world.environ["INTEREST_GRAPH_PROFILE"] = str(folder / "watched.yaml")
    run = forked.start("backfill", str(world.day(8)), str(world.last), environ=world.environ, log=folder / "undisturbed.log")
    assert run.wait() == 0, run.said()[-4000:]
    return Undisturbed(world, run, world.hashes())
