"""The instance is ready as it ships: nothing hangs for ever, slots come free, Postgres by one variable."""

import dagster as dg
import pytest
import yaml

from orchestration.instance import EMBEDDED, POSTGRES, POSTGRES_URL, prepare_instance


@pytest.mark.parametrize("path", [EMBEDDED, POSTGRES], ids=lambda path: path.name)
def test_shipped_settings(path) -> None:
    found = yaml.safe_load(path.read_text())
    assert found["telemetry"]["enabled"] is False
    assert found["run_retries"] == {"enabled": True, "max_retries": 2, "retry_on_asset_or_op_failure": False}
    assert found["run_monitoring"]["max_runtime_seconds"] > 0
    assert 0 < found["run_monitoring"]["free_slots_after_run_end_seconds"] <= 300
    assert found["concurrency"]["pools"] == {"default_limit": 1, "granularity": "op"}


def test_both_differ_in_where_they_keep_things_alone() -> None:
    embedded, postgres = (yaml.safe_load(path.read_text()) for path in (EMBEDDED, POSTGRES))
    assert postgres.pop("storage") == {"postgres": {"postgres_url": {"env": POSTGRES_URL}}}
    assert postgres == embedded


def test_a_new_home_gets_the_shipped_instance_and_an_old_one_keeps_its_own(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "dagster"))
    monkeypatch.delenv(POSTGRES_URL, raising=False)
    folder = prepare_instance(tmp_path)
    assert (folder / "dagster.yaml").read_text() == EMBEDDED.read_text()
    with dg.DagsterInstance.from_config(str(folder)) as instance:
        assert instance.run_monitoring_max_runtime_seconds == 21600
        assert instance.run_retries_enabled
        assert instance.run_retries_max_retries == 2
        assert not instance.run_retries_retry_on_asset_or_op_failure
    (folder / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    prepare_instance(tmp_path)
    assert (folder / "dagster.yaml").read_text() == "telemetry: {enabled: false}\n"


def test_postgres_is_one_variable_away(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "dagster"))
    monkeypatch.setenv(POSTGRES_URL, "postgresql://nobody@127.0.0.1/none")
    assert (prepare_instance(tmp_path) / "dagster.yaml").read_text() == POSTGRES.read_text()
