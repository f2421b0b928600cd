"""Several runs over one home at once, and readers beside them: nobody sees half of anything, nobody waits for the dead."""

import hashlib
import time

import pytest

from ml.contracts.behaviour import MART_TABLES

# Takes about five minutes: runs beside runs on two cores.
pytestmark = pytest.mark.slow

NUM_DAYS = 8
# The command runs raw tables and dbt alone: what comes after them opens no warehouse.
BEHAVIOUR_ONLY = "import orchestration.run, orchestration.jobs; orchestration.run.REFRESH = orchestration.jobs.BEHAVIOUR"
SECONDS = 900.0


def start(forked, world, *arguments: str, name: str):
    return forked.start(*arguments, environ=world.environ, log=world.home.parent / f"{name}.log", prefix=BEHAVIOUR_ONLY)


@pytest.fixture(scope="module")
def sequential(new_world, forked):
    """Raw tables and marts of every day, made by one run."""
    world = new_world("sequential", num_days=NUM_DAYS)
    run = start(forked, world, "backfill", str(world.first), str(world.last), name="sequential")
    assert run.wait() == 0, run.said()[-4000:]
    return world


@pytest.mark.parametrize("num_runs", [3, pytest.param(8, marks=pytest.mark.slow)])
def test_first_partitions_at_once_are_as_many_correct_tables(sequential, forked, tmp_path, num_runs) -> None:
    world = sequential.elsewhere(tmp_path / "home")
    days = [str(world.day(number)) for number in range(NUM_DAYS)]
    # The newest first: it would leave the others nothing to do if they came one after another.
    runs = [start(forked, world, "backfill", day, day, name=day) for day in reversed(days[-num_runs:])]
    for run in runs:
        assert run.wait() == 0, run.said()[-4000:]
    expected = sequential.hashes()
    assert len(expected) >= 2 * NUM_DAYS * len(MART_TABLES)
    assert world.hashes() == expected
    assert not list(world.scope().home.base.glob("*.broken-*"))
    assert not list((world.home / "dbt").glob("parsing-*"))


def test_a_reader_of_every_mart_meets_whole_files_only_while_dbt_builds_them_again(sequential, forked) -> None:
    store = sequential.scope().store
    days = [sequential.day(number) for number in range(NUM_DAYS)]
    partitions = [(contract, day) for contract in MART_TABLES for day in days]
    known = {(contract.name, day): store.manifest(contract.name, day=day) for contract, day in partitions}
    before = {(contract.name, day): store.path(contract.name, day).stat().st_ino for contract, day in partitions}
    run = start(forked, sequential, "backfill", str(sequential.first), str(sequential.last), "--force", name="again")
    num_rounds, replaced = 0, set()
    while not run.has_ended():
        for contract, day in partitions:
            with store.path(contract.name, day).open("rb") as handle:
                content = handle.read()
            manifest = known[contract.name, day]
            assert hashlib.sha256(content).hexdigest() == manifest.sha256, (contract.name, day)
            assert store.read(contract, day=day).num_rows == manifest.num_rows
            if store.path(contract.name, day).stat().st_ino != before[contract.name, day]:
                replaced.add((contract.name, day))
        num_rounds += 1
    assert run.wait() == 0, run.said()[-4000:]
    assert num_rounds > 10
    assert len(replaced) > len(partitions) // 2, "dbt replaced too little for this to show anything"
    assert all(store.is_whole(contract.name, day=day) for contract, day in partitions)


def test_a_run_that_waits_for_one_that_is_killed_goes_on(sequential, forked, tmp_path) -> None:
    """The killed run holds the warehouse's slot; nobody but the waiting one is there to give it back."""
    world = sequential.elsewhere(tmp_path / "home")
    arguments = ("backfill", str(world.first), str(world.last))
    first = start(forked, world, *arguments, name="first")
    assert first.wait_for(lambda: "Running dbt command" in first.said(), seconds=SECONDS), first.said()[-4000:]
    second = start(forked, world, *arguments, name="second")
    assert second.wait_for(lambda: "landing" in second.steps(), seconds=SECONDS), second.said()[-4000:]
    assert not first.has_ended(), "the first run was done before the second one came to wait"
    first.kill()
    began = time.monotonic()
    assert second.wait_for(second.has_ended, seconds=SECONDS), f"still waiting {time.monotonic() - began:.0f} s after the kill"
    assert second.wait() == 0, second.said()[-4000:]
    assert world.hashes() == sequential.hashes()
