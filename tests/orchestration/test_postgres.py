"""Runs and events in a real Postgres server, with the settings as they ship."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from orchestration.instance import POSTGRES_URL, prepare_instance


def postgres_program(name: str) -> str:
    folders = [*sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True), Path("/usr/local/bin"), Path("/usr/bin")]
    found = next((str(folder / name) for folder in folders if (folder / name).exists()), None) or shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed; install Debian's package postgresql")
    return found


@pytest.fixture
def postgres() -> Iterator[str]:
    """The address of a server of its own; Postgres refuses to run as root, so root lends it the user postgres.

    Its folder is not below pytest's own, which only their owner may enter.
    """
    with tempfile.TemporaryDirectory(prefix="postgres-") as folder:
        yield from served(Path(folder))


def served(folder: Path) -> Iterator[str]:
    """The address of a server in `folder`, which ends with the iteration."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    as_user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    if as_user:
        if subprocess.run(["id", "postgres"], capture_output=True, check=False).returncode != 0:
            pytest.skip("there is no user postgres for the server to run as")
        shutil.chown(folder, "postgres")
        if subprocess.run([*as_user, "test", "-w", str(folder)], check=False, cwd="/").returncode != 0:
            pytest.skip(f"the user postgres may not enter {folder.parent}")
    program = [*as_user, postgres_program("initdb"), "-D", str(folder / "data"), "-U", "owner", "--auth=trust", "--no-sync"]
    subprocess.run(program, check=True, capture_output=True, cwd="/")
    server = [*as_user, postgres_program("pg_ctl"), "-D", str(folder / "data"), "-w"]
    options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
    subprocess.run([*server, "-o", options, "-l", str(folder / "log"), "start"], check=True, cwd="/", stdout=subprocess.DEVNULL)
    try:
        yield f"postgresql://owner@127.0.0.1:{port}/postgres"
    finally:
        subprocess.run([*server, "-m", "immediate", "stop"], check=False, capture_output=True, cwd="/")


def test_a_run_is_kept_in_postgres(postgres, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "dagster"))
    monkeypatch.setenv(POSTGRES_URL, postgres)
    folder = prepare_instance(tmp_path)

    @dg.asset
    def something() -> None: ...

    with dg.DagsterInstance.from_config(str(folder)) as instance:
        assert dg.materialize([something], instance=instance).success
    with dg.DagsterInstance.from_config(str(folder)) as instance:
        (run,) = instance.get_runs()
        assert run.status is dg.DagsterRunStatus.SUCCESS
        assert instance.get_latest_materialization_event(dg.AssetKey("something")) is not None
    assert not list(tmp_path.rglob("*.db"))
