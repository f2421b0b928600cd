"""Runs of the command line whose process is no more: failed, and their slots in the pools given back.

Dagster's daemon does this for the runs it launched; a run of the command line that was
killed would hold the warehouse's only slot for ever, and the next run would wait for it.
"""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg
import psutil
from dagster._core.storage.dagster_run import IN_PROGRESS_RUN_STATUSES

PROCESS_TAG = "interest_graph/process"
CHECK_SECONDS = 5.0
# A process is told from a later one of the same id by its start, which moves when the machine's clock is set.
CLOCK_SECONDS = 60.0


def this_process() -> str:
    """Host, id and start of this process: what a run is tagged with."""
    process = psutil.Process()
    return f"{socket.gethostname()} {process.pid} {process.create_time():.2f}"


def is_gone(process: str) -> bool:
    """Whether a process of this host has ended; nothing is known of another host's."""
    host, pid, started = process.rsplit(" ", 2)
    if host != socket.gethostname():
        return False
    try:
        found = psutil.Process(int(pid))
        return found.status() == psutil.STATUS_ZOMBIE or abs(found.create_time() - float(started)) > CLOCK_SECONDS
    except psutil.NoSuchProcess:
        return True


def end_dead_runs(instance: dg.DagsterInstance) -> list[str]:
    """Fail every run whose process is gone and free what it held; returns their ids."""
    ended = []
    for run in instance.get_runs(dg.RunsFilter(statuses=IN_PROGRESS_RUN_STATUSES)):
        process = run.tags.get(PROCESS_TAG)
        if process is not None and is_gone(process):
            instance.report_run_failed(run, f"its process ({process}) ended before the run did; what it finished stays")
            instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
            ended.append(run.run_id)
    return ended


@contextmanager
def dead_runs_ended(instance: dg.DagsterInstance) -> Iterator[None]:
    """End dead runs now, and those that die while the block runs: it may be waiting for what they hold."""
    end_dead_runs(instance)
    is_over = threading.Event()

    def watch() -> None:
        while not is_over.wait(CHECK_SECONDS):
            end_dead_runs(instance)

    watcher = threading.Thread(target=watch, name="dead-runs", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        is_over.set()
        watcher.join()
