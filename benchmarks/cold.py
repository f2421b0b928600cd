"""Who and what a model has never met: items known by text alone, users known by one to five likes.

Cold items: a tenth of the items lose every interaction of training, though not of the test; the figure is the recall of
their test likes in lists over the whole catalogue, and over cold items alone. Cold users: a tenth of the users are left
out of training altogether, folded in by their first likes and asked for the others, whenever those were.

python -m benchmarks.cold [--quick] [--json FILE]
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import scipy.sparse as sp

from benchmarks.intervals import with_interval
from benchmarks.program import real_dataset_files
from benchmarks.report import Options, Row, asked, parse_options, publish
from benchmarks.windows import fit_hybrid, tables_of
from ml.config import PipelineConfig
from ml.evaluation.metrics import MetricArray
from ml.evaluation.split import global_time_split
from ml.evaluation.truth import held_out
from ml.ids import FloatArray, IntArray
from ml.models.ease import EASE
from ml.models.histories import Histories
from ml.models.inputs import ModelInputs
from ml.models.item_knn import ItemKNN
from ml.models.popularity import Popularity
from ml.models.recommender import Recommender
from ml.models.text_only import TextOnly
from ml.training.candidate import TrainingTables

REAL_SETS = ("movielens", "douban-zh")
COLD_SHARE = 0.1
LIST_LENGTH = 20
FIRST_LIKES = (1, 2, 3, 5)


def main(options: Options) -> None:
    """Both experiments on every set that is here; quick: the bundled sample alone."""
    rows: list[Row] = []
    sets: dict[str, Path | None] = {"shop": None} | ({} if options.quick else real_dataset_files(REAL_SETS))
    for name, dataset_file in asked(sets, options=options).items():
        tables = tables_of(dataset_file)
        rows += [{"data set": name, **row} for row in (*cold_items(tables), *cold_users(tables))]
    publish(
        "cold", rows, options=options, notes=[f"recall@{LIST_LENGTH}, 95% bootstrap over users; the same users and likes for every model"]
    )


def cold_items(tables: TrainingTables) -> Iterator[Row]:
    """Recall of cold and of warm items' test likes, by model."""
    config = PipelineConfig()
    split = global_time_split(tables.interactions, config=config.evaluation)
    item_ids = pc.unique(tables.items.column("item_id")).sort()
    rng = np.random.default_rng(config.evaluation.seed)
    cold_ids = item_ids.take(pa.array(np.sort(rng.choice(len(item_ids), int(COLD_SHARE * len(item_ids)), replace=False))))
    met = tables.interactions
    is_before = pc.less(met.column("last_event_at"), split.test_start)
    is_training_of_cold = pc.and_(pc.is_in(met.column("item_id"), value_set=cold_ids), is_before)
    hidden = replace(
        tables,
        interactions=met.filter(pc.invert(is_training_of_cold)),
        text_interests=_not_about(tables.text_interests, cold_ids, before=split.test_start),
        review_signals=_not_about(tables.review_signals, cold_ids, before=split.test_start),
    )
    inputs = hidden.inputs(config=config, as_of=split.test_start)
    truth = held_out(hidden.interactions, inputs=inputs, start=split.test_start, end=split.end)
    is_cold_I = np.zeros(len(inputs.items), dtype=bool)
    is_cold_I[inputs.items.positions(cold_ids)] = True
    ours = fit_hybrid(hidden, split=split, inputs=inputs, config=config)
    models: dict[str, Recommender] = {ours.name: ours} | ours.stages() | {TextOnly.name: TextOnly().fit(inputs, rng=rng)}
    for name, model in models.items():
        for question, relevant_I, offered_I in (
            ("cold items, whole catalogue", is_cold_I, np.ones_like(is_cold_I)),
            ("cold items, among cold ones", is_cold_I, is_cold_I),
            ("warm items, whole catalogue", ~is_cold_I, np.ones_like(is_cold_I)),
        ):
            relevant_UI = sp.csr_array(truth.relevant_UI @ sp.diags_array(relevant_I.astype(np.float32)))
            relevant_UI.eliminate_zeros()
            user_index = np.flatnonzero(np.diff(relevant_UI.indptr)).astype(np.int64)
            if len(user_index):
                scores_TI = model.score(user_index)
                recall_T = _recall(scores_TI, met_TI=inputs.seen_UI[user_index], relevant_TI=relevant_UI[user_index], offered_I=offered_I)
                yield {"asked": question, "model": name, "users": len(user_index), "recall": with_interval(recall_T)}


def _not_about(table: pa.Table | None, item_ids: pa.Array, *, before: datetime) -> pa.Table | None:
    """Without what was written about these items before a moment: words about an item are a meeting too."""
    if table is None:
        return None
    is_about = pc.and_(pc.is_in(table.column("item_id"), value_set=item_ids), pc.less(table.column("event_at"), before))
    return table.filter(pc.invert(is_about))


def cold_users(tables: TrainingTables) -> Iterator[Row]:
    """Recall of the likes after the first few, for users nobody has met, by model and number of first likes."""
    config = PipelineConfig()
    everybody = pc.unique(tables.interactions.column("user_id")).sort()
    rng = np.random.default_rng(config.evaluation.seed)
    new_ids = everybody.take(pa.array(np.sort(rng.choice(len(everybody), int(COLD_SHARE * len(everybody)), replace=False))))
    is_new = pc.is_in(tables.interactions.column("user_id"), value_set=new_ids)
    known = replace(tables, interactions=tables.interactions.filter(pc.invert(is_new)))
    split = global_time_split(known.interactions, config=config.evaluation)
    inputs = known.inputs(config=config, as_of=split.test_start)
    newcomers = _newcomers(tables, inputs=inputs, is_new=is_new, config=config)
    ours = fit_hybrid(known, split=split, inputs=inputs, config=config)
    baselines = (Popularity(), ItemKNN(), EASE(), TextOnly())
    models: Mapping[str, Recommender] = {
        ours.name: ours,
        **ours.stages(),
        **{model.name: model.fit(inputs, rng=rng) for model in baselines},
    }
    for num_first in FIRST_LIKES:
        first, later_UI = newcomers.divided(num_first)
        for name, model in models.items():
            everything_I = np.ones(len(inputs.items), dtype=bool)
            recall_T = _recall(model.fold_in(first), met_TI=first.liked_UI, relevant_TI=later_UI, offered_I=everything_I)
            yield {"asked": f"new users, {num_first} likes", "model": name, "users": len(first), "recall": with_interval(recall_T)}


@dataclass(frozen=True)
class Newcomers:
    """Likes of users outside training over the items of fit, oldest first within a user; more than the most first likes each."""

    histories: Histories

    def divided(self, num_first: int) -> tuple[Histories, sp.csr_array]:
        """The oldest `num_first` likes of each, and the others."""
        positives_UI, age_UI = self.histories.positives_UI, self.histories.age_UI
        assert age_UI is not None  # noqa: S101  (made with ages below)
        row_E = np.repeat(np.arange(len(self.histories)), np.diff(positives_UI.indptr))
        oldest_first = np.lexsort((-age_UI.data, row_E))
        place_E = np.empty(len(row_E), dtype=np.int64)
        place_E[oldest_first] = np.arange(len(row_E)) - positives_UI.indptr[row_E]
        is_first_E = place_E < num_first
        first_UI, first_age_UI = (_chosen(matrix, is_first_E) for matrix in (positives_UI, age_UI))
        later_UI = _chosen(positives_UI, ~is_first_E)
        return Histories(first_UI, first_age_UI), later_UI


def _newcomers(tables: TrainingTables, *, inputs: ModelInputs, is_new: pa.ChunkedArray, config: PipelineConfig) -> Newcomers:
    whole = replace(tables, interactions=tables.interactions.filter(is_new))
    end = pc.max(tables.interactions.column("last_event_at")).as_py() + timedelta(microseconds=1)
    theirs = whole.inputs(config=config, as_of=end)
    assert theirs.items == inputs.items  # noqa: S101  (one catalogue)
    enough = np.flatnonzero(np.diff(theirs.positives_UI.indptr) > max(FIRST_LIKES)).astype(np.int64)
    return Newcomers(theirs.histories.take(enough))


def _chosen(matrix: sp.csr_array, chosen_E: np.ndarray) -> sp.csr_array:
    row_E = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    return sp.csr_array((matrix.data[chosen_E], (row_E[chosen_E], matrix.indices[chosen_E])), shape=matrix.shape)


def _recall(scores_TI: FloatArray, *, met_TI: sp.csr_array, relevant_TI: sp.csr_array, offered_I: np.ndarray) -> MetricArray:
    """Share of each user's relevant items among the best `LIST_LENGTH` offered ones they have not met, shape [T]."""
    cost_TI = np.where(offered_I, -scores_TI, np.inf)
    cost_TI[met_TI.nonzero()] = np.inf
    best_TK: IntArray = np.argsort(cost_TI, axis=1, kind="stable")[:, :LIST_LENGTH]
    hits_T = np.take_along_axis(relevant_TI.toarray() != 0, best_TK, axis=1).sum(axis=1)
    return np.asarray(hits_T / np.diff(relevant_TI.indptr), dtype=np.float64)


if __name__ == "__main__":
    main(parse_options(__doc__))
