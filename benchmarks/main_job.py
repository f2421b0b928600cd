"""The whole chain on each data set: seconds, processor seconds, peak memory, and where our model stands.

Runs `interest-graph run` in a process of its own with an empty home, as a user
would. The bundled sample always; real sets where INTEREST_GRAPH_DATA (or
../shared/data) holds them.

python -m benchmarks.main_job [--quick] [--json FILE]
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil

from benchmarks.report import Options, Row, data_folder, parse_options, publish

REPOSITORY = Path(__file__).resolve().parents[1]
PROGRAM = Path(sys.executable).with_name("interest-graph")
REAL_SETS = {
    "movielens": "movielens-small-text",
    "douban-zh": "zh-douban-movies-1000",
    "musical-instruments": "amazon-musical-instruments-reviews",
    "retailrocket": "retailrocket-multibehavior",
    "lastfm": "lastfm-kg",
    "goodbooks": "goodbooks-10k-v1",
}
QUICK_SETS = ("musical-instruments",)


class MemoryWatch(threading.Thread):
    """The largest resident size of a process and its children, sampled ten times a second."""

    def __init__(self, process_id: int) -> None:
        super().__init__(daemon=True)
        self._process = psutil.Process(process_id)
        self.peak_bytes = 0

    def run(self) -> None:
        """Sample until the process is gone."""
        while self._process.is_running() and self._process.status() != psutil.STATUS_ZOMBIE:
            self.peak_bytes = max(self.peak_bytes, _resident_bytes(self._process))
            time.sleep(0.1)


def main(options: Options) -> None:
    """Run every set and publish the table."""
    chosen = QUICK_SETS if options.quick else tuple(REAL_SETS)
    files = {"shop (the bundled sample)": None} | {
        name: REPOSITORY / "examples" / f"{name}.yaml" for name in chosen if data_folder(REAL_SETS[name]) is not None
    }
    rows = [measure(name, dataset_file) for name, dataset_file in files.items()]
    publish("main_job", rows, options=options, notes=["peak memory: resident bytes of the process and its children, sampled"])


def measure(name: str, dataset_file: Path | None) -> Row:
    """One run with an empty home; a failed run is a row that says so."""
    with tempfile.TemporaryDirectory() as home:
        data = data_folder(next(iter(REAL_SETS.values())))
        environ = os.environ | {"INTEREST_GRAPH_HOME": home, "DAGSTER_HOME": f"{home}/dagster"}
        if data is not None:
            environ["INTEREST_GRAPH_DATA"] = str(data.parent)
        arguments = ["run", "--json", *(["--dataset", str(dataset_file)] if dataset_file else [])]
        started = time.perf_counter()
        process = subprocess.Popen([PROGRAM, *arguments], env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)  # noqa: S603
        watch = MemoryWatch(process.pid)
        watch.start()
        out, log = process.communicate()
        wall_seconds = time.perf_counter() - started
        watch.join()
    if process.returncode != 0:
        return {"data set": name, "result": f"failed: {log.strip().splitlines()[-1]}"}
    return {"data set": name, "wall s": wall_seconds, "peak GiB": watch.peak_bytes / 2**30, **_standing(json.loads(out))}


def _standing(found: dict[str, object]) -> dict[str, str | float]:
    metrics = found["metrics"]
    differences = found["differences"]
    if not isinstance(metrics, list) or not isinstance(differences, list):
        raise TypeError("the report has no metric table")
    figures = {f"{row['model']} ndcg@10": float(row["ndcg@10"]) for row in metrics}
    against = {
        f"minus {row['baseline']}": f"{row['difference']:+.4f} ({row['ci_low']:+.4f} to {row['ci_high']:+.4f})" for row in differences
    }
    return {**figures, **against}


def _resident_bytes(process: psutil.Process) -> int:
    total = 0
    for member in [process, *process.children(recursive=True)]:
        try:
            total += member.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total


if __name__ == "__main__":
    main(parse_options(__doc__))
