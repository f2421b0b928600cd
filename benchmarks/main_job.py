"""The whole chain on each data set: seconds, processor seconds, peak memory, and where our model stands.

Runs `interest-graph run` in a process of its own with an empty home, as a user
would. The bundled sample always; real sets where INTEREST_GRAPH_DATA (or
../shared/data) holds them.

python -m benchmarks.main_job [--quick] [--json FILE]
"""

import json
import tempfile
from pathlib import Path

from benchmarks.program import REAL_SETS, dataset_option, environment, real_dataset_files, run_program
from benchmarks.report import Options, Row, parse_options, publish

QUICK_SETS = ("musical-instruments",)


def main(options: Options) -> None:
    """Run every set and publish the table."""
    files: dict[str, Path | None] = {"shop (the bundled sample)": None}
    files |= real_dataset_files(QUICK_SETS if options.quick else tuple(REAL_SETS))
    rows = [measure(name, dataset_file) for name, dataset_file in files.items()]
    publish("main_job", rows, options=options, notes=["peak memory: resident bytes of the process and its children, sampled"])


def measure(name: str, dataset_file: Path | None) -> Row:
    """One run with an empty home; a failed run is a row that says so."""
    with tempfile.TemporaryDirectory() as home:
        finished = run_program("run", "--json", *dataset_option(dataset_file), environ=environment(home))
    if finished.code != 0:
        return {"data set": name, "result": f"failed: {finished.log.strip().splitlines()[-1]}"}
    cost = {"wall s": finished.wall_seconds, "CPU s": finished.cpu_seconds, "peak GiB": finished.peak_bytes / 2**30}
    return {"data set": name, **cost, **_standing(json.loads(finished.out))}


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


if __name__ == "__main__":
    main(parse_options(__doc__))
