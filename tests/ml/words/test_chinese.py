"""jieba cuts Chinese quietly and leaves nothing behind."""

import logging
import subprocess
import sys
from pathlib import Path

import pytest

from ml.words.chinese import segment_chinese


def test_words_join_to_the_run() -> None:
    runs = ["防水登山鞋适合徒步", "故事发生在香港", "鞋"]
    words = segment_chinese(runs)
    assert ["".join(cut) for cut in words] == runs
    assert "香港" in words[1]


def test_no_runs_need_no_dictionary() -> None:
    assert segment_chinese([]) == []


def test_quiet_and_without_a_cache_file(tmp_path: Path, repository: Path) -> None:
    program = "from ml.words.chinese import segment_chinese; print(len(segment_chinese(['防水登山鞋'])))"
    done = subprocess.run(
        [sys.executable, "-W", "default", "-c", program],
        env={"TMPDIR": str(tmp_path), "PYTHONPATH": str(repository)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "jieba" not in done.stderr.lower()
    assert "pkg_resources" not in done.stderr
    assert done.stdout.strip() == "1"
    assert list(tmp_path.iterdir()) == []


def test_does_not_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        segment_chinese(["登山"])
    assert not [record for record in caplog.records if record.name.startswith("jieba") and record.levelno < logging.WARNING]
