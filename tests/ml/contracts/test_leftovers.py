"""What a killed writer leaves beside its target goes with the next write of the same, and nothing else does."""

import os
import signal
import socket

import pytest

from ml.contracts.files import temporary_name, whole_directory, write_text


def killed_while_writing(target, *, directory: bool) -> None:
    """A process that dies with its temporary file or folder begun."""
    pid = os.fork()
    if pid == 0:
        temporary = temporary_name(target)
        if directory:
            temporary.mkdir()
            (temporary / "half").write_text("half")
            temporary.with_suffix(".old").mkdir()
        else:
            temporary.write_text("half")
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)


def test_the_next_write_of_the_same_removes_what_killed_ones_left(tmp_path) -> None:
    target, folder = tmp_path / "2026-03-01.json", tmp_path / "epoch-1"
    for _ in range(3):
        killed_while_writing(target, directory=False)
        killed_while_writing(folder, directory=True)
    assert len(list(tmp_path.iterdir())) >= 3
    write_text("{}", target)
    with whole_directory(folder) as inside:
        (inside / "all").write_text("all")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["2026-03-01.json", "all", "epoch-1"]


@pytest.mark.parametrize(
    "name",
    [f".a.json.{socket.gethostname()}-{os.getpid()}.tmp", ".a.json.elsewhere-1.tmp", ".b.json.tmp", "a.json.bak"],
    # The first holds a process id; processes that share out the tests must agree on their names.
    ids=["running", "another host", "another name", "another kind"],
)
def test_files_of_running_writers_other_hosts_and_others_stay(tmp_path, name) -> None:
    pid = os.fork()
    if pid == 0:
        try:
            (tmp_path / name).write_text("mine")
            write_text("{}", tmp_path / "a.json")
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    assert (tmp_path / name).read_text() == "mine"
    assert (tmp_path / "a.json").read_text() == "{}"
