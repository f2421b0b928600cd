"""The servers that readers ask, each for as long as a block."""

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.context import ForkProcess

import uvicorn

from benchmarks.publishing.readers import FORK
from feature_repo.server import feature_app
from ml.config import DatasetHome
from ml.config.pipeline import FeatureStoreConfig


@contextmanager
def feature_server(home: DatasetHome, config: FeatureStoreConfig) -> Iterator[int]:
    """Feast's server over what is published, in a process of its own; its port."""
    port = free_port()
    server: ForkProcess = FORK.Process(target=lambda: uvicorn.run(feature_app(home, config=config), port=port, log_level="warning"))
    server.start()
    try:
        await_port(port)
        yield port
    finally:
        server.terminate()
        server.join()


@contextmanager
def redis_server() -> Iterator[int]:
    """A Redis of our own without persistence; its port."""
    port = free_port()
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL)  # noqa: S603
    try:
        await_port(port)
        yield port
    finally:
        server.terminate()
        server.wait(timeout=10)


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def await_port(port: int, *, seconds: float = 60.0, process: "subprocess.Popen[bytes] | None" = None) -> None:
    """Wait until something listens there; raises `TimeoutError` after so long, `RuntimeError` where `process` has ended before."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if process is not None and process.poll() is not None:
            raise RuntimeError(f"{process.args!r} ended with {process.returncode} before it listened")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise TimeoutError(f"nothing listens on 127.0.0.1:{port}")
