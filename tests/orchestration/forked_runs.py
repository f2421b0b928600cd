"""Runs of the command line as processes that start at once: forked from one that has imported everything.

Tests that kill a run a dozen times would otherwise spend their time importing torch, Dagster and
Feast. A forked run is a process of its own, leads its own process group (dbt in it), and ends as
`interest-graph` ends; a kill takes it as it takes any other.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
PAUSE_SECONDS = 0.003


@dataclass
class Run:
    """One started run; `log` is what it says on standard error and output, `work` what it computed."""

    server: "ForkedRuns"
    pid: int
    log: Path
    work_file: Path
    status: int | None = None

    def said(self) -> str:
        """Everything it has said so far."""
        return self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""

    def steps(self) -> list[str]:
        """The steps that ended, in their order."""
        return [line.split()[1] for line in self.said().splitlines() if line.startswith("  done ")]

    def step_seconds(self) -> dict[str, float]:
        """What each step took."""
        lines = [line.split() for line in self.said().splitlines() if line.startswith("  done ")]
        return {words[1]: float(words[2]) for words in lines}

    def work(self, kind: str) -> list[int]:
        """What was begun of a kind of work: number of texts per encoded chunk, number of the epoch per checkpoint."""
        lines = self.work_file.read_text(encoding="utf-8").splitlines() if self.work_file.exists() else []
        return [int(number) for found, number in (line.split() for line in lines) if found == kind]

    def has_ended(self) -> bool:
        """Whether its process is no more (a zombie of the server counts as ended)."""
        try:
            return Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()[0] == "Z"
        except FileNotFoundError:
            return True

    def wait_for(self, condition: Callable[[], bool], *, seconds: float) -> bool:
        """Wait until the condition holds; False where the run ended or the time was up before."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if condition():
                return True
            if self.has_ended():
                return condition()
            time.sleep(PAUSE_SECONDS)
        return False

    def kill(self, *, group: bool = True) -> None:
        """SIGKILL to the run and, with `group`, to what it started."""
        os.killpg(self.pid, signal.SIGKILL) if group else os.kill(self.pid, signal.SIGKILL)
        self.wait()

    def wait(self) -> int:
        """Wait until it ends; its exit code, negative for a signal."""
        if self.status is None:
            self.status = int(self.server.ask({"wait": self.pid})["status"])
        return self.status


class ForkedRuns:
    """The process that runs are forked from."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        program = [sys.executable, str(Path(__file__).resolve())]
        self._process = subprocess.Popen(
            program, env=dict(environ), cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def start(self, *arguments: str, environ: Mapping[str, str], log: Path, chunk: int = 2048, prefix: str = "") -> Run:
        """Start `interest-graph` with these arguments; texts are encoded in chunks of `chunk`.

        `prefix` is Python that the run executes before anything else, for limits that belong to a process.
        """
        log.parent.mkdir(parents=True, exist_ok=True)
        work_file = log.with_suffix(".work")
        asked = {
            "arguments": arguments,
            "environ": dict(environ),
            "log": str(log),
            "work": str(work_file),
            "chunk": chunk,
            "prefix": prefix,
        }
        return Run(self, int(self.ask(asked)["pid"]), log, work_file)

    def ask(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """One question, one answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(asked) + "\n")
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def close(self) -> None:
        """End the process; runs that were waited for are gone already."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=30)


def _serve() -> None:
    from orchestration.environment import quiet_libraries

    quiet_libraries()
    _import_everything()
    for line in sys.stdin:
        asked = json.loads(line)
        if "wait" in asked:
            answer = {"status": os.waitstatus_to_exitcode(os.waitpid(asked["wait"], 0)[1])}
        else:
            pid = os.fork()
            if pid == 0:
                _become_a_run(asked)
            answer = {"pid": pid}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def _import_everything() -> None:
    import orchestration.cli
    import orchestration.report
    import orchestration.run  # noqa: F401


def _become_a_run(asked: Mapping[str, Any]) -> None:
    """In the forked process: its own group, its own environment and log; never returns."""
    try:
        os.setsid()
        log = os.open(asked["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.environ.clear()
        os.environ.update(asked["environ"])
        sys.argv = ["interest-graph", *asked["arguments"]]
        exec(asked["prefix"], {})
        _count_work(Path(asked["work"]), chunk=asked["chunk"])
        from orchestration.cli import main

        main()
    finally:
        import traceback

        traceback.print_exc()
        os._exit(70)


def _count_work(file: Path, *, chunk: int) -> None:
    """Note every chunk of texts and every epoch that is begun to be kept, before it is."""
    import ml.text.cache
    from ml.epochs.checkpoints import Checkpoints
    from ml.text.encoder import TransformerEncoder

    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    encode, write = TransformerEncoder.encode, Checkpoints.write

    def noted_encode(self: Any, texts: Any, **settings: Any) -> Any:
        os.write(handle, f"texts {len(texts)}\n".encode())
        return encode(self, texts, **settings)

    def noted_write(self: Any, epoch: int, checkpoint: Any) -> None:
        os.write(handle, f"epoch {epoch}\n".encode())
        write(self, epoch, checkpoint)

    ml.text.cache._CHUNK = chunk
    TransformerEncoder.encode = noted_encode  # type: ignore[method-assign]
    Checkpoints.write = noted_write  # type: ignore[method-assign]


if __name__ == "__main__":
    _serve()
