"""Do the simulated interests come back? Found user interests against the truth the sample's simulator wrote.

AUC of user x theme weights and precision of a user's five strongest, beside the
same profiles dealt to other users (chance) and beside counting the tags of the
items a user met. Seeds 11 to 13 were never looked at while settings were chosen.

python -m benchmarks.interests [--quick] [--json FILE]
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.report import Options, Row, parse_options, publish
from examples.shop.simulate import SampleSettings, write_sample
from examples.shop.truth import Truth, interest_auc, read_truth
from ml.config import DatasetHome
from ml.contracts.behaviour import INTERACTIONS, ITEMS
from ml.contracts.meaning import INTEREST_POINTS, USER_INTERESTS
from ml.contracts.store import TableStore

PROGRAM = Path(sys.executable).with_name("interest-graph")
SEEDS = (7, 11, 12, 13)


def main(options: Options) -> None:
    """Run the chain on each seed's sample and publish the table."""
    seeds = SEEDS[1:2] if options.quick else SEEDS
    publish("interests", [row for seed in seeds for row in measure(SampleSettings(seed=seed))], options=options)


def measure(settings: SampleSettings) -> list[Row]:
    """Our profiles, counted tags and chance, on one sample's last day."""
    with tempfile.TemporaryDirectory() as folder:
        dataset_file = write_sample(Path(folder) / "landing", settings=settings)
        home = Path(folder) / "home"
        environ = os.environ | {"INTEREST_GRAPH_HOME": str(home), "DAGSTER_HOME": str(home / "dagster")}
        subprocess.run([PROGRAM, "run", "--dataset", str(dataset_file)], env=environ, check=True, capture_output=True)  # noqa: S603
        truth = read_truth(dataset_file.parent)
        store = TableStore(DatasetHome(home, "shop").tables)
        ours_UT = found_scores(store, truth=truth, settings=settings)
        counted_UT = counted_scores(store, truth=truth, settings=settings)
    dealt_UT = np.random.default_rng(0).permutation(ours_UT)
    profiles = {"ours": ours_UT, "tags of the items met, counted": counted_UT, "ours, dealt to other users": dealt_UT}
    return [
        {
            "seed": settings.seed,
            "profiles": name,
            "AUC": interest_auc(truth, scores_UT, day=settings.last_day),
            "precision of the top 5": top_precision(truth, scores_UT, settings=settings),
        }
        for name, scores_UT in profiles.items()
    ]


def found_scores(store: TableStore, *, truth: Truth, settings: SampleSettings) -> np.ndarray:
    """Our user interests as themes, shape [U, T]."""
    found = store.read(USER_INTERESTS, day=settings.last_day).select(["user_id", "interest_id", "weight"])
    points = store.read(INTEREST_POINTS, day=settings.last_day).select(["interest_id", "name"])
    named = found.join(points, "interest_id")
    return truth.theme_scores(named.column("user_id").to_pylist(), named.column("name").to_pylist(), named.column("weight").to_pylist())


def counted_scores(store: TableStore, *, truth: Truth, settings: SampleSettings) -> np.ndarray:
    """How often each user met each tag, as themes, shape [U, T]."""
    met = store.read_history(INTERACTIONS, through=settings.last_day).select(["user_id", "item_id"])
    items = store.read(ITEMS, day=settings.last_day)
    tags = items.column("tags").combine_chunks()
    tagged = pa.table({"item_id": items.column("item_id").combine_chunks().take(pc.list_parent_indices(tags)), "tag": tags.flatten()})
    counted = met.join(tagged, "item_id", join_type="inner").group_by(["user_id", "tag"]).aggregate([([], "count_all")])
    return truth.theme_scores(
        counted.column("user_id").to_pylist(), counted.column("tag").to_pylist(), counted.column("count_all").to_pylist()
    )


def top_precision(truth: Truth, scores_UT: np.ndarray, *, settings: SampleSettings, k: int = 5) -> float:
    """Share of each user's `k` strongest found themes that are among the `k` strongest simulated, mean over users."""
    simulated_UK = np.argsort(-truth.interests_so_far(settings.last_day), axis=1, kind="stable")[:, :k]
    found_UK = np.argsort(-scores_UT, axis=1, kind="stable")[:, :k]
    shared = [len(set(found) & set(simulated)) / k for found, simulated in zip(found_UK, simulated_UK, strict=True)]
    return float(np.mean(shared))


if __name__ == "__main__":
    main(parse_options(__doc__))
