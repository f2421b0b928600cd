"""The servers that are asked, each a process of its own for as long as a block, started as a user starts them."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import yaml

from benchmarks.program import PROGRAM, environment, run_program
from benchmarks.publishing.servers import await_port, free_port, redis_server
from feature_repo.publish import publish
from ml.config import DatasetHome
from ml.config.pipeline import FeatureStoreConfig
from ml.contracts.outputs import RECOMMENDATIONS
from orchestration.environment import read_environment
from orchestration.scope import load_scope

SAMPLE = "shop"
# A start reads a release and the libraries behind it.
START_SECONDS = 600


@dataclass(frozen=True)
class Server:
    """A process that answers at a port of 127.0.0.1."""

    port: int
    process: psutil.Process

    @property
    def cpu_seconds(self) -> float:
        """Processor time it has used."""
        times = self.process.cpu_times()
        return float(times.user + times.system)

    @property
    def resident_mib(self) -> float:
        """Memory it holds."""
        return float(self.process.memory_info().rss / 2**20)

    @property
    def is_alive(self) -> bool:
        """Whether it runs."""
        return bool(self.process.is_running() and self.process.status() != psutil.STATUS_ZOMBIE)


@contextmanager
def finished_home(given: Path | None) -> Iterator[Path]:
    """A copy of a finished home of the bundled sample; where none is given that holds one, `interest-graph run` makes it first."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        if given is not None and (DatasetHome(given, SAMPLE).tables / RECOMMENDATIONS.name).is_dir():
            shutil.copytree(given, home)
        else:
            finished = run_program("run", environ=environment(home))
            if finished.code != 0:
                raise RuntimeError(f"interest-graph run failed:\n{finished.log[-2000:]}")
        yield home


def put_online(home: Path, config: FeatureStoreConfig) -> None:
    """Publish the newest day anew, whatever was online: a generation names the files or the server it lies in."""
    scope = load_scope(read_environment(environment(home)))
    shutil.rmtree(scope.home.feature_store, ignore_errors=True)
    publish(scope.home, config=config, day=scope.store.days("user_profiles")[-1])


@contextmanager
def served(command: str, home: Path, *, profile: Mapping[str, Mapping[str, object]]) -> Iterator[Server]:
    """`interest-graph serve` or `serve-features` over this home with these settings besides the defaults."""
    path, port = home / "benchmark.yaml", free_port()
    path.write_text(yaml.safe_dump({section: dict(fields) for section, fields in profile.items()}), encoding="utf-8")
    arguments = [str(PROGRAM), command, "--port", str(port), "--profile", str(path)]
    with subprocess.Popen(arguments, env=environment(home), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:  # noqa: S603
        try:
            await_port(port, seconds=START_SECONDS, process=process)
            yield Server(port, psutil.Process(process.pid))
        finally:
            process.terminate()
            process.wait(timeout=60)


@contextmanager
def redis() -> Iterator[Server]:
    """A Redis of our own without persistence."""
    with redis_server() as port:
        yield Server(port, next(child for child in psutil.Process().children() if child.name() == "redis-server"))
