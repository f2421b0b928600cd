"""Days made in any order, alone, in ranges, twice or with the future known, are the same bytes."""

import gzip
import json
from datetime import UTC, datetime, timedelta

import pytest

from ml.contracts import CONTRACTS
from ml.contracts.manifest import read_manifest
from ml.days import as_of

NUM_DAYS = 16


@pytest.fixture(scope="module")
def forward(new_world, command):
    """Every day of a small world in one run, oldest first."""
    world = new_world("forward", num_days=NUM_DAYS)
    done = command(world, "backfill", str(world.first), str(world.last))
    assert done.returncode == 0, done.stderr[-4000:]
    return world


def test_every_artefact_of_every_day_is_there_with_a_manifest(forward) -> None:
    store = forward.scope().store
    for name in CONTRACTS:
        for number in range(NUM_DAYS):
            manifest = store.manifest(name, day=forward.day(number))
            assert manifest is not None, (name, number)
            assert store.is_whole(name, day=forward.day(number)), (name, number)
            # The newest moment inside lies before the day's end.
            assert manifest.latest is None or manifest.latest < as_of(forward.day(number)), (name, number)


def test_another_order_in_overlapping_ranges_gives_the_same_bytes(forward, command, tmp_path) -> None:
    other = forward.elsewhere(tmp_path / "home")
    # The end first, alone, in an empty home; then the beginning over it; then the middle once more, by force.
    for arguments in (
        ("run", "--day", str(other.day(12))),
        ("backfill", str(other.day(0)), str(other.day(NUM_DAYS - 1))),
        ("backfill", str(other.day(5)), str(other.day(9)), "--force"),
    ):
        done = command(other, *arguments)
        assert done.returncode == 0, done.stderr[-4000:]
    assert other.hashes() == forward.hashes()


def test_the_future_changes_not_a_byte_of_a_day(forward, new_world, command) -> None:
    """Events of after `as_of` are planted in the landing files before the day is made from nothing."""
    world = new_world("canary", num_days=NUM_DAYS)
    day = world.day(10)
    end = datetime.now(UTC) - timedelta(days=1)
    plant_events(world, moments=[as_of(day), as_of(day) + timedelta(microseconds=1), as_of(day) + timedelta(days=40), end])
    done = command(world, "run", "--day", str(day))
    assert done.returncode == 0, done.stderr[-4000:]
    found = world.hashes(day)
    assert found == forward.hashes(day)
    assert len(found) > 60


def plant_events(world, *, moments) -> None:
    """Purchases of the first item by users known and unknown, one new file a moment."""
    folder = world.dataset_file.parent / "events"
    header, first, *_ = gzip.decompress(sorted(folder.glob("*.csv.gz"))[0].read_bytes()).decode().splitlines()
    customer, sku = first.split(",")[1:3]
    for number, moment in enumerate(moments):
        at = moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        rows = [f"{at},{who},{sku},purchase,v-{number}" for who in (customer, f"stranger-{number}")]
        (folder / f"planted-{number}.csv.gz").write_bytes(gzip.compress("\n".join([header, *rows, ""]).encode()))


def test_a_run_with_nothing_new_encodes_nothing_and_moves_no_row(forward, command) -> None:
    before = {
        path: path.stat().st_mtime_ns
        for path in sorted(forward.scope().home.base.rglob("*.parquet"))
        if path.parent.parent.name == "tables"
    }
    warehouse = forward.scope().home.warehouse.stat().st_mtime_ns
    done = command(forward, "backfill", str(forward.day(8)), str(forward.last))
    assert done.returncode == 0, done.stderr[-4000:]
    assert "dbt is not asked" in done.stderr
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert forward.scope().home.warehouse.stat().st_mtime_ns == warehouse


def test_manifests_say_what_a_day_was_made_from(forward) -> None:
    home = forward.scope().home
    manifest = read_manifest(home.tables / "user_interests" / f"{forward.last}.json")
    assert set(manifest.recipe.inputs) == {"interactions", "item_interests", "text_interests", "review_signals", "reviewer_signals"}
    content = json.loads((home.tables / "user_interests" / f"{forward.last}.json").read_text())
    assert content["as_of"] == as_of(forward.last).isoformat()
    candidate = read_manifest(home.candidates / f"{forward.day(8)}.json")
    assert "candidate it stands on" in candidate.recipe.inputs
