"""A disk that fills up in mid-run: a clear message, nothing torn, and the next run ends as if nothing had been."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from .test_kills import assert_whole, step_before

# Takes about four minutes: five disks filled, then a whole run.
pytestmark = pytest.mark.slow

SECONDS = 300.0
DISK_BYTES = 96 << 20


@pytest.fixture
def disk(tmp_path) -> Iterator[Path]:
    """A small file system of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"a file system of limited size cannot be mounted here: {done.stderr.strip()}; run the test as root")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(disk: Path, *, leave: int) -> None:
    """Take all room but `leave` bytes."""
    with (disk / "filler").open("wb") as handle:
        os.posix_fallocate(handle.fileno(), 0, max(shutil.disk_usage(disk).free - leave, 1))


def make_room(disk: Path) -> None:
    (disk / "filler").unlink()


def assert_says_so(run, disk: Path) -> None:
    """It ends with 1, and its last words are one error that names cause, place and what to do."""
    assert run.wait() == 1, run.said()[-4000:]
    errors = [line for line in run.said().splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, run.said()[-4000:]
    assert f"the disk is full: {disk / 'home'}" in errors[0]
    assert "Make room and run the same again" in errors[0]


def test_a_disk_that_fills_up_tears_nothing_and_the_next_run_is_fine(undisturbed, forked, disk, tmp_path) -> None:
    world = undisturbed.world.elsewhere(disk / "home")
    world.home.mkdir()

    def start(name: str):
        # What it says is kept where there is room.
        return forked.start(*undisturbed.arguments, environ=world.environ, log=tmp_path / f"{name}.log")

    fill(disk, leave=700 << 10)
    run = start("at the start")
    assert_says_so(run, disk)
    # Dagster's own files on the same disk, and on another one: it may be the step that fails, or the note of it.
    for stage, dagster_home in {
        "transforms": tmp_path / "dagster",
        "item_embeddings": disk / "home" / "dagster",
        "candidate": tmp_path / "dagster",
        "online_features": tmp_path / "dagster",
    }.items():
        make_room(disk)
        world.environ["DAGSTER_HOME"] = str(dagster_home)
        run = start(stage)
        before = step_before(undisturbed, stage)
        assert run.wait_for(lambda run=run, before=before: before in run.steps(), seconds=SECONDS), run.said()[-4000:]
        fill(disk, leave=0)
        assert_says_so(run, disk)
        assert_whole(world)
    make_room(disk)
    run = start("end")
    assert run.wait() == 0, run.said()[-4000:]
    assert world.hashes() == undisturbed.hashes
    assert_whole(world)
