"""What all benchmarks share: the table, the file, the clock."""

import json
import time

import pytest

from benchmarks.report import Options, as_table, data_folder, parse_options, peak_memory_gib, publish, timed

ROWS = [{"mode": "plain", "rate": 1234.5, "number": 10_000}, {"mode": "ours 快", "rate": 0.99991, "worst": None, "exact": True}]


def test_table_is_markdown_with_every_column_of_any_row() -> None:
    lines = as_table(ROWS).splitlines()
    assert [cell.strip() for cell in lines[0].strip("|").split("|")] == ["mode", "rate", "number", "worst", "exact"]
    assert [cell.strip() for cell in lines[2].strip("|").split("|")] == ["plain", "1,234", "10,000", "", ""]
    assert [cell.strip() for cell in lines[3].strip("|").split("|")] == ["ours 快", "0.99991", "", "", "True"]
    assert len({len(line) for line in lines}) == 1


def test_publish_prints_the_table_and_writes_it(tmp_path, capsys) -> None:
    publish("speed", ROWS, options=Options(quick=True, json_path=tmp_path / "new" / "speed.json"), notes=["one thread"])
    printed = capsys.readouterr().out
    assert as_table(ROWS) in printed
    assert "one thread" in printed
    written = json.loads((tmp_path / "new" / "speed.json").read_text())
    assert written["rows"] == ROWS
    assert (written["benchmark"], written["quick"], written["notes"]) == ("speed", True, ["one thread"])
    assert written["machine"]["cores"] >= 1


def test_options(tmp_path) -> None:
    assert parse_options("what", []) == Options(quick=False, json_path=None)
    assert parse_options("what", ["--quick", "--json", str(tmp_path)]) == Options(quick=True, json_path=tmp_path)
    with pytest.raises(SystemExit):
        parse_options("what", ["--unknown"])


def test_timed_tells_waiting_from_working() -> None:
    with timed() as timing:
        time.sleep(0.05)
    assert timing.wall_seconds >= 0.05
    assert timing.cpu_seconds < timing.wall_seconds
    assert peak_memory_gib() > 0.01


def test_data_folder_is_none_where_the_data_is_not(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("INTEREST_GRAPH_DATA", str(tmp_path))
    assert data_folder("movielens") is None
    (tmp_path / "movielens").mkdir()
    assert data_folder("movielens") == tmp_path / "movielens"
