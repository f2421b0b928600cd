"""A warehouse that cannot be read is set aside, loudly, and built again; one in use is left alone."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import duckdb
import pytest

from ml.contracts.behaviour import MART_TABLES
from orchestration.definitions import build_definitions
from orchestration.jobs import BEHAVIOUR
from orchestration.warehouse import damage

# Takes about four minutes: dbt builds a broken warehouse again and again.
pytestmark = pytest.mark.slow

NUM_DAYS = 8
# Of a DuckDB file: three headers, then blocks.
HEADER_BYTES, BLOCK_BYTES = 3 * 4096, 1 << 18


@pytest.fixture(scope="module")
def shop(new_world):
    """A small world whose raw tables and marts are made."""
    world = new_world("warehouse", num_days=NUM_DAYS)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("INTEREST_GRAPH_WAREHOUSE", "INTEREST_GRAPH_DBT_THREADS", "INTEREST_GRAPH_DBT_MEMORY_LIMIT"):
            patch.setenv(name, "")  # what building the definitions sets is undone afterwards
        job = build_definitions(world.scope()).resolve_job_def(BEHAVIOUR.name)
        build = Builder(world, job)
        assert build().success
        yield build


class Builder:
    """Makes the marts of the last day again, and tells what was said."""

    def __init__(self, world, job: dg.JobDefinition) -> None:
        self.world = world
        self.scope = world.scope()
        self._job = job

    def __call__(self) -> dg.ExecuteInProcessResult:
        """One run over raw tables and marts."""
        for contract in MART_TABLES:
            self.scope.store.manifest_path(contract.name, self.world.last).unlink(missing_ok=True)
        self.instance = dg.DagsterInstance.ephemeral()
        return self._job.execute_in_process(instance=self.instance, partition_key=str(self.world.last), raise_on_error=False)

    def hashes(self) -> dict[str, str]:
        """Of all marts."""
        names = tuple(f"tables/{contract.name}/" for contract in MART_TABLES)
        return {place: digest for place, digest in self.world.hashes().items() if place.startswith(names)}

    def observations(self, result: dg.ExecuteInProcessResult) -> list[str]:
        """What was said of a warehouse set aside."""
        seen = [event.asset_observation_data.asset_observation for event in result.all_events if event.is_asset_observation]
        return [found.description for found in seen if "set aside" in (found.description or "")]

    def errors(self, result: dg.ExecuteInProcessResult) -> list[str]:
        """The run's lines of level error."""
        return [entry.user_message for entry in self.instance.all_logs(result.run_id) if entry.level >= 40]

    def aside(self) -> list[Path]:
        """Warehouses that were set aside."""
        return sorted(path for path in self.scope.home.base.glob("warehouse.duckdb.broken-*") if path.suffix != ".wal")


def truncated(warehouse: Path) -> None:
    """To its headers and a little more."""
    warehouse.write_bytes(warehouse.read_bytes()[:20_000])


def emptied_of_sense(warehouse: Path) -> None:
    content = bytearray(warehouse.read_bytes())
    content[:4096] = b"garbage " * 512
    warehouse.write_bytes(content)


def broken_headers(warehouse: Path) -> None:
    """Both headers of the database, behind the file's own."""
    content = bytearray(warehouse.read_bytes())
    content[4096 : 3 * 4096] = b"\xa5" * (2 * 4096)
    warehouse.write_bytes(content)


def broken_rows(warehouse: Path) -> None:
    """Every block that holds rows of the events: the file opens, and only reading them shows it."""
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        found = connection.execute("SELECT DISTINCT block_id FROM pragma_storage_info('int_events_deduplicated') WHERE block_id >= 0")
        blocks = [block for (block,) in found.fetchall()]
    assert blocks
    content = bytearray(warehouse.read_bytes())
    for block in blocks:
        start = HEADER_BYTES + block * BLOCK_BYTES
        content[start + 1000 : start + 9000] = b"\x5a" * 8000
    warehouse.write_bytes(content)
    assert damage(warehouse) is None


def stale_log(warehouse: Path) -> None:
    warehouse.with_name("warehouse.duckdb.wal").write_bytes(b"no log of this database" * 100)


@pytest.mark.parametrize("harm", [truncated, emptied_of_sense, broken_headers, broken_rows])
def test_a_broken_warehouse_is_set_aside_loudly_and_built_again(shop, harm: Callable[[Path], None]) -> None:
    expected, known = shop.hashes(), shop.aside()
    warehouse = shop.scope.home.warehouse
    harm(warehouse)
    broken = warehouse.read_bytes()
    result = shop()
    assert result.success, shop.errors(result)
    assert shop.hashes() == expected
    (kept,) = set(shop.aside()) - set(known)
    if harm is not broken_rows:  # dbt may have written to a file that opens
        assert kept.read_bytes() == broken
    (said,) = shop.observations(result)
    assert kept.name in said
    assert "Nothing is lost" in said
    assert said in shop.errors(result)
    assert damage(warehouse, deep=True) is None


def test_a_log_of_another_database_does_no_harm(shop) -> None:
    expected = shop.hashes()
    stale_log(shop.scope.home.warehouse)
    result = shop()
    assert result.success, shop.errors(result)
    assert shop.hashes() == expected
    assert damage(shop.scope.home.warehouse, deep=True) is None


def test_a_deleted_warehouse_is_built_again_and_nothing_set_aside(shop) -> None:
    expected, known = shop.hashes(), shop.aside()
    shop.scope.home.warehouse.unlink()
    result = shop()
    assert result.success, shop.errors(result)
    assert shop.hashes() == expected
    assert shop.aside() == known


def test_a_warehouse_in_use_is_not_set_aside(shop) -> None:
    """Another process holds it for longer than dbt tries; the run fails with the reason, the next one is fine."""
    expected, known = shop.hashes(), shop.aside()
    warehouse = shop.scope.home.warehouse
    code = "import sys, duckdb; held = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", code, str(warehouse)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        assert damage(warehouse, deep=True) is None
        result = shop()
        assert not result.success
        holder.stdin.close()
    assert shop.aside() == known
    failure = next(event for event in result.all_events if event.is_step_failure)
    assert "lock" in str(failure.step_failure_data.error), failure
    assert shop().success
    assert shop.hashes() == expected
    assert shop.aside() == known
