"""Are reasons true: do their edges exist, does deleting them lower the score, and what does finding them cost?

Reasons of the 10 best items of sampled users are told by `ml.ranking.attribution`, then put to the test the slow way. A path's edges
are deleted from the likes and the graph (`ml.models.deletion.without_path`), every model that reads edges is fitted or propagated
again over what is left (`Hybrid.in_world`), and the reduced history is folded into that; `lowers` is the share of reasons after which
the item's score is lower. `way alone`: the same without deleting the user's own like, which is what the words after it claim.
Sets are the bundled sample, and movielens where it is here. `--quick`: the sample alone, fewer reasons.

python -m benchmarks.explanations [--quick] [--json FILE]
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.intervals import with_interval
from benchmarks.program import real_dataset_files
from benchmarks.report import Options, Row, asked, parse_options, publish, timed
from benchmarks.windows import fit_hybrid, tables_of
from ml.config import PipelineConfig
from ml.evaluation.split import global_time_split
from ml.graph.edge_types import INTERACTED
from ml.ids import IntArray
from ml.models.ablation import Ablation
from ml.models.deletion import steps_of, without_edges, without_path
from ml.models.hybrid.hybrid import Hybrid
from ml.models.inputs import ModelInputs
from ml.ranking.attribution import RUNGS, Attributor, Reason
from ml.ranking.names import Names
from ml.ranking.paths import path_exists
from ml.training.candidate import TrainingTables

SEED = 7
LIST_LENGTH = 10
NUM_USERS, NUM_TIMED = 60, 100
# Every reason costs two fits of all that is not trained.
NUM_REASONS = {"shop": 120, "movielens": 20}
QUICK_REASONS = 30
# What a score may move by when the same is computed twice: the order of sums.
ROUNDING = 1e-6


@dataclass(frozen=True)
class Told:
    """A reason of one user's item."""

    user: int
    item: int
    reason: Reason


@dataclass(frozen=True)
class Verdict:
    """Whether all edges exist, and what the score lost without the path, and without its way alone (nan where it has none)."""

    exists: bool
    loss: float
    way_loss: float


class Audit:
    """Puts reasons to the test in worlds of their own; the model's own world is computed the same way, so that only edges differ."""

    def __init__(self, model: Hybrid, inputs: ModelInputs, *, seed: int = SEED) -> None:
        """`inputs` are those the model was fitted on."""
        self._model, self._inputs, self._seed = model, inputs, seed
        self._world = model.in_world(inputs, seed=seed)

    def judge(self, told: Told) -> Verdict:
        """Delete, compute again, compare."""
        path = told.reason.path
        before = _score(self._world, self._inputs, user=told.user, item=told.item)
        way = steps_of(path)[1:] if path[1] == INTERACTED.relation else []
        return Verdict(
            exists=edges_exist(self._inputs, path),
            loss=before - self._after(without_path(self._inputs, path), told),
            way_loss=before - self._after(without_edges(self._inputs, way), told) if way else float("nan"),
        )

    def _after(self, inputs: ModelInputs, told: Told) -> float:
        return _score(self._model.in_world(inputs, seed=self._seed), inputs, user=told.user, item=told.item)


def edges_exist(inputs: ModelInputs, path: Sequence[str]) -> bool:
    """Whether every edge of a path is there: likes in the histories (the graph prunes those that have faded), others in the graph."""
    return len(path) >= 3 and all(_is_liked(inputs, step) or path_exists(inputs.graph, step) for step in steps_of(path))


def _is_liked(inputs: ModelInputs, step: tuple[str, str, str]) -> bool:
    if step[1] != INTERACTED.relation:
        return False
    item, user = sorted((step[0], step[2]))
    (row,), (column,) = (inputs.users.find([user.partition(":")[2]])[0], inputs.items.find([item.partition(":")[2]])[0])
    return row >= 0 and column >= 0 and bool(inputs.positives_UI[row, column] > 0)


def main(options: Options) -> None:
    """Measure every set that is here and publish the table; quick: the bundled sample alone."""
    sets: dict[str, Path | None] = {"shop": None} | ({} if options.quick else {**real_dataset_files(("movielens",))})
    rows: list[Row] = []
    notes = [
        f"lowers, way alone: share of reasons after whose deletion the score is more than {ROUNDING:g} lower, 95% by bootstrap over users"
    ]
    for name, dataset_file in asked(sets, options=options).items():
        found, note = measure(name, tables_of(dataset_file), num_reasons=QUICK_REASONS if options.quick else NUM_REASONS[name])
        rows, notes = [*rows, *found], [*notes, note]
    publish("explanations", rows, options=options, notes=notes)


def measure(name: str, tables: TrainingTables, *, num_reasons: int) -> tuple[list[Row], str]:
    """Fit on what was known before the test, tell, and judge."""
    config = PipelineConfig()
    split = global_time_split(tables.interactions, config=config.evaluation)
    inputs = tables.inputs(config=config, as_of=split.test_start)
    model = fit_hybrid(tables, split=split, inputs=inputs, config=config)
    return judged(name, model, inputs, tables=tables, num_reasons=num_reasons)


def judged(name: str, model: Hybrid, inputs: ModelInputs, *, tables: TrainingTables, num_reasons: int) -> tuple[list[Row], str]:
    """Rows of one set, all reasons and by kind, and what was told and how quickly."""
    names = Names.from_tables(items=tables.items, interest_points=tables.interest_points, knowledge_graph=tables.knowledge_graph)
    attributor = Attributor(inputs.graph, items=inputs.items, names=names, language="auto")
    rng = np.random.default_rng(SEED)
    users = rng.permutation(np.flatnonzero(np.diff(inputs.positives_UI.indptr)))
    told = [one for user in users[:NUM_USERS] for one in reasons_of(attributor, model, inputs, user=int(user))]
    with_path = [one for one in told if one.reason.path]
    chosen = [with_path[place] for place in rng.permutation(len(with_path))[:num_reasons]]
    audit = Audit(model, inputs)
    verdicts = [audit.judge(one) for one in chosen]
    places_of = {"all": list(range(len(chosen)))}
    places_of |= {
        kind: [n for n, one in enumerate(chosen) if one.reason.kind == kind] for kind in sorted({one.reason.kind for one in chosen})
    }
    rows = [_row(name, kind, [chosen[n] for n in places], [verdicts[n] for n in places]) for kind, places in places_of.items()]
    counts = Counter(one.reason.kind for one in told)
    rungs = sum(counts[rung] for rung in RUNGS) / len({(one.user, one.item) for one in told})
    times = ", ".join(f"k={k}: {_latency(attributor, model, inputs, users=users[:NUM_TIMED], k=k)}" for k in (LIST_LENGTH, 100))
    exist = np.mean([edges_exist(inputs, one.reason.path) for one in with_path])
    return rows, (
        f"{name}: {len(with_path)} reasons of {NUM_USERS} users' {LIST_LENGTH} best items, of which {exist:.4f} have edges that all exist; "
        f"{rungs:.3f} of the items got an honest rung instead; kinds {dict(counts)}; processor ms of one request, {times}"
    )


def reasons_of(attributor: Attributor, model: Hybrid, inputs: ModelInputs, *, user: int, k: int = LIST_LENGTH) -> list[Told]:
    """All reasons of the `k` best items of a user of the inputs."""
    asked_for = ablation_of(model, inputs, user=user)
    item_K = best_items(asked_for, num_items=len(inputs.items), k=k)
    reasons = attributor.explain(asked_for, item_K=item_K, user_id=inputs.users.ids[user].as_py())
    return [Told(user, int(item), one) for item, of_item in zip(item_K, reasons, strict=True) for one in of_item]


def ablation_of(model: Hybrid, inputs: ModelInputs, *, user: int) -> Ablation:
    """The scores of a user of the inputs without some of their likes."""
    row = np.array([user])
    return Ablation(model, inputs.histories.take(row), inputs.seen_UI[row].indices.astype(np.int64))


def best_items(asked_for: Ablation, *, num_items: int, k: int) -> IntArray:
    """The items that folding in ranks first and that the user has not met."""
    scores_I = asked_for(np.ones((1, len(asked_for.liked_L)), dtype=np.bool_), np.arange(num_items))[0]
    scores_I[np.union1d(asked_for.liked_L, asked_for.met)] = -np.inf
    return np.argsort(-scores_I, kind="stable")[:k].astype(np.int64)


def _score(model: Hybrid, inputs: ModelInputs, *, user: int, item: int) -> float:
    asked_for = ablation_of(model, inputs, user=user)
    return float(asked_for(np.ones((1, len(asked_for.liked_L)), dtype=np.bool_), np.array([item]))[0, 0])


def _row(name: str, kind: str, chosen: Sequence[Told], verdicts: Sequence[Verdict]) -> Row:
    lost, way_lost = (np.array([getattr(verdict, field) for verdict in verdicts]) for field in ("loss", "way_loss"))
    with_way = [place for place, loss in enumerate(way_lost.tolist()) if np.isfinite(loss)]
    return {
        "data set": name,
        "kind": kind,
        "reasons": len(chosen),
        "edges exist": float(np.mean([verdict.exists for verdict in verdicts])),
        "lowers": _by_user(chosen, lost > ROUNDING),
        "way alone": _by_user([chosen[place] for place in with_way], way_lost[with_way] > ROUNDING) if with_way else None,
        "share, median": float(np.median([one.reason.share for one in chosen])),
        "lost, median": float(np.median(lost)),
    }


def _by_user(chosen: Sequence[Told], is_lower: npt.NDArray[np.bool_]) -> str:
    """Mean over users of each one's share, with its interval."""
    _, place = np.unique([one.user for one in chosen], return_inverse=True)
    return with_interval(np.bincount(place, weights=is_lower) / np.bincount(place))


def _latency(attributor: Attributor, model: Hybrid, inputs: ModelInputs, *, users: IntArray, k: int) -> str:
    """Median and 95th percentile of the processor milliseconds that explaining `k` items takes, list and history in hand."""
    taken = []
    for user in users:
        asked_for = ablation_of(model, inputs, user=int(user))
        item_K = best_items(asked_for, num_items=len(inputs.items), k=k)
        with timed() as timing:
            attributor.explain(asked_for, item_K=item_K, user_id=inputs.users.ids[int(user)].as_py())
        taken.append(1000 * timing.cpu_seconds)
    return f"p50 {np.percentile(taken, 50):.0f}, p95 {np.percentile(taken, 95):.0f}"


if __name__ == "__main__":
    main(parse_options(__doc__))
