"""A run that is killed at any moment is gone on with by the next one, to the same bytes, at the cost of one batch or epoch."""

import itertools
import random
import shutil
from pathlib import Path

import pytest

from ml.contracts import CONTRACTS

# A step for each stage of the chain, in the order they run.
STAGES = {
    "dbt": "transforms",
    "embedding": "item_embeddings",
    "training": "candidate",
    "graph": "interest_graph",
    "scoring": "recommendations",
    "publish": "online_features",
}
CHUNK = 16
START_SECONDS, STEP_SECONDS = 300.0, 300.0


def start(undisturbed, forked, world, name):
    """The undisturbed world's run, in another home."""
    return forked.start(*undisturbed.arguments, environ=world.environ, log=world.home.parent / f"{name}.log", chunk=CHUNK)


def step_before(undisturbed, step: str) -> str:
    """The step that ends before this one begins."""
    steps = undisturbed.run.steps()
    return steps[steps.index(step) - 1]


def kill_within(run, undisturbed, *, step: str, rng: random.Random, group: bool = True) -> str:
    """SIGKILL at a random moment of a step; returns where it fell."""
    before = step_before(undisturbed, step)
    assert run.wait_for(lambda: before in run.steps(), seconds=START_SECONDS), run.said()[-4000:]
    # Its whole time in the undisturbed run, which was never quicker to begin.
    run.wait_for(lambda: step in run.steps(), seconds=rng.uniform(0.0, undisturbed.run.step_seconds()[step]))
    run.kill(group=group)
    assert run.status == -9, f"ended by itself with {run.status}"
    return f"in {step}" if step not in run.steps() else f"after {run.steps()[-1]}"


def assert_whole(world) -> None:
    """Everything with a manifest holds the bytes it names."""
    scope = world.scope()
    for name in CONTRACTS:
        for path in scope.store.directory(name).glob("????-??-??.json"):
            day = path.stem
            assert scope.store.is_whole(name, day=world.first.fromisoformat(day)), (name, day)
    for path in scope.home.candidates.glob("????-??-??.json"):
        assert scope.candidates.is_whole(world.first.fromisoformat(path.stem)), path


def leftovers(home: Path) -> list[str]:
    """Files and folders below a home that only a write under way may have; dbt's and Dagster's own folders apart."""
    names = ("*.tmp", "*.old", "tmp_*", "*.torn", "*.broken-*", "parsing-*", "shard-*")
    return sorted(str(path.relative_to(home)) for name in names for path in home.rglob(name))


def check_end(undisturbed, world, runs, *, kills: int, told: str) -> None:
    """Same bytes, nothing torn, nothing left lying, at most a chunk or an epoch of work done twice for each kill."""
    assert runs[-1].wait() == 0, told + runs[-1].said()[-4000:]
    found = world.hashes()
    differing = sorted(name for name in found.keys() | undisturbed.hashes.keys() if found.get(name) != undisturbed.hashes.get(name))
    assert not differing, told + f"{len(differing)} files differ: {differing[:10]}"
    assert_whole(world)
    assert not leftovers(world.home), told
    texts, epochs = (list(itertools.chain.from_iterable(run.work(kind) for run in runs)) for kind in ("texts", "epoch"))
    num_texts, num_epochs = sum(undisturbed.run.work("texts")), len(undisturbed.run.work("epoch"))
    assert num_texts <= sum(texts) <= num_texts + kills * CHUNK, told
    assert num_epochs <= len(epochs) <= num_epochs + kills, told


def chain_of_kills(undisturbed, forked, folder: Path, *, seed: int) -> None:
    """One home, a kill in every stage, each run going on where the one before was killed; then one to the end."""
    rng = random.Random(seed)
    world = undisturbed.world.elsewhere(folder / "home")
    runs, fell = [], []
    for stage, step in STAGES.items():
        runs.append(start(undisturbed, forked, world, stage))
        fell.append(kill_within(runs[-1], undisturbed, step=step, rng=rng))
        assert_whole(world)
    runs.append(start(undisturbed, forked, world, "end"))
    check_end(undisturbed, world, runs, kills=len(STAGES), told=f"seed {seed}, killed {', '.join(fell)}: ")
    shutil.rmtree(folder / "home")


def test_a_kill_in_every_stage_ends_in_the_bytes_of_an_undisturbed_run(undisturbed, forked, tmp_path) -> None:
    chain_of_kills(undisturbed, forked, tmp_path, seed=5)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10, 20))
def test_ten_kills_in_every_stage_end_in_the_bytes_of_an_undisturbed_run(undisturbed, forked, tmp_path, seed) -> None:
    chain_of_kills(undisturbed, forked, tmp_path, seed=seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_a_dbt_that_outlives_its_killed_run_does_no_harm(undisturbed, forked, tmp_path, seed) -> None:
    """Only the run is killed: dbt, which it started, may go on and hold the warehouse while the next run begins."""
    rng = random.Random(seed)
    world = undisturbed.world.elsewhere(tmp_path / "home")
    first = start(undisturbed, forked, world, "orphaning")
    fell = kill_within(first, undisturbed, step=STAGES["dbt"], rng=rng, group=False)
    runs = [first, start(undisturbed, forked, world, "end")]
    check_end(undisturbed, world, runs, kills=1, told=f"seed {seed}, killed {fell}: ")
    assert not list(world.scope().home.base.glob("*.broken-*"))
