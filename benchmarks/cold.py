"""Who and what a model has never met: items known by text alone, users known by one to five likes.

Cold items: a tenth of the items lose every interaction of training, though not of the test; the figure is the recall of
their test likes in lists over the whole catalogue, and over cold items alone. Cold users: a tenth of the users are left
out of training altogether, folded in by their first likes and asked for the others, whenever those were. Against folding in:
`hybrid trained again`, the same settings and choices fitted anew with those first likes among the others'.

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
from benchmarks.windows import fit_hybrid, rng_of, tables_of
from ml.config import PipelineConfig
from ml.evaluation.metrics import accuracy
from ml.evaluation.split import global_time_split
from ml.evaluation.truth import held_out
from ml.ids import BoolArray, FloatArray, IntArray, Vocabulary
from ml.models.ease import EASE
from ml.models.histories import Histories
from ml.models.hybrid.hybrid import Hybrid
from ml.models.inputs import ModelInputs
from ml.models.item_knn import ItemKNN
from ml.models.popularity import Popularity
from ml.models.recommender import Recommender
from ml.models.text_only import TextOnly
from ml.training.candidate import TrainingTables

REAL_SETS = ("movielens", "douban-zh")
COLD_SHARE = 0.1
CUTOFFS = (10, 20)
METRICS = ("ndcg@10", "recall@20")
TRAINED_AGAIN = "hybrid trained again"
FIRST_LIKES = (1, 2, 3, 5)


def main(options: Options) -> None:
    """Both experiments on every set that is here; quick: the bundled sample alone."""
    rows: list[Row] = []
    sets: dict[str, Path | None] = {"shop": None} | ({} if options.quick else real_dataset_files(REAL_SETS))
    for name, dataset_file in asked(sets, options=options).items():
        tables = tables_of(dataset_file)
        rows += [{"data set": name, **row} for row in (*cold_items(tables), *cold_users(tables))]
    publish("cold", rows, options=options, notes=["95% bootstrap over users; the same users and likes for every model"])


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
                found = _figures(scores_TI, met_TI=inputs.seen_UI[user_index], relevant_TI=relevant_UI[user_index], offered_I=offered_I)
                yield {"asked": question, "model": name, "users": len(user_index), **found}


def _not_about(table: pa.Table | None, item_ids: pa.Array, *, before: datetime) -> pa.Table | None:
    """Without what was written about these items before a moment: words about an item are a meeting too."""
    if table is None:
        return None
    is_about = pc.and_(pc.is_in(table.column("item_id"), value_set=item_ids), pc.less(table.column("event_at"), before))
    return table.filter(pc.invert(is_about))


def cold_users(tables: TrainingTables) -> Iterator[Row]:
    """Figures of the likes after the first few, for users nobody has met, by model and number of first likes."""
    config = PipelineConfig()
    everybody = pc.unique(tables.interactions.column("user_id")).sort()
    rng = np.random.default_rng(config.evaluation.seed)
    new_ids = everybody.take(pa.array(np.sort(rng.choice(len(everybody), int(COLD_SHARE * len(everybody)), replace=False))))
    known, theirs = _without(tables, new_ids)
    end = pc.max(tables.interactions.column("last_event_at")).as_py() + timedelta(microseconds=1)
    # Nobody known is asked for: everything of theirs may be trained on.
    inputs = known.inputs(config=config, as_of=end)
    newcomers = _newcomers(replace(known, interactions=theirs), inputs=inputs, end=end, config=config)
    ours = fit_hybrid(known, split=global_time_split(known.interactions, config=config.evaluation), inputs=inputs, config=config)
    baselines = (Popularity(), ItemKNN(), EASE(), TextOnly())
    models: Mapping[str, Recommender] = {
        ours.name: ours,
        **ours.stages(),
        **{model.name: model.fit(inputs, rng=rng) for model in baselines},
    }
    everything_I = np.ones(len(inputs.items), dtype=bool)
    for num_first in FIRST_LIKES:
        first, later_UI = newcomers.divided(num_first)
        scores = {name: model.fold_in(first) for name, model in models.items()}
        scores[TRAINED_AGAIN] = _trained_again(
            ours, known, likes=newcomers.rows(first, of=theirs), asked=newcomers.users, config=config, end=end
        )
        for name, scores_TI in scores.items():
            found = _figures(scores_TI, met_TI=first.liked_UI, relevant_TI=later_UI, offered_I=everything_I)
            yield {"asked": f"new users, {num_first} likes", "model": name, "users": len(first), **found}


def _without(tables: TrainingTables, new_ids: pa.Array) -> tuple[TrainingTables, pa.Table]:
    """The tables without some users, in words too, and the interactions of those."""
    met = tables.interactions
    is_new = pc.is_in(met.column("user_id"), value_set=new_ids)
    words = {
        name: None if table is None else table.filter(pc.invert(pc.is_in(table.column("user_id"), value_set=new_ids)))
        for name, table in (("text_interests", tables.text_interests), ("review_signals", tables.review_signals))
    }
    return replace(tables, interactions=met.filter(pc.invert(is_new)), **words), met.filter(is_new)


def _trained_again(
    ours: Hybrid, known: TrainingTables, *, likes: pa.Table, asked: Vocabulary, config: PipelineConfig, end: datetime
) -> FloatArray:
    """Scores of the users `asked`, shape [T, I], by the same settings and choices fitted with their `likes` too."""
    inputs = replace(known, interactions=pa.concat_tables([known.interactions, likes])).inputs(config=config, as_of=end)
    network = ours.gnn.config if ours.gnn else config.model
    again = Hybrid.of(config.hybrid, model=network, choices=ours.choices).fit(inputs, rng=rng_of(config))
    return again.score(inputs.users.positions(asked.ids))


@dataclass(frozen=True)
class Newcomers:
    """Users outside training who have more than the most first likes, and their likes over the items of fit."""

    users: Vocabulary
    items: Vocabulary
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

    def rows(self, first: Histories, *, of: pa.Table) -> pa.Table:
        """The interactions `of` all newcomers that these first likes were."""
        user, item = first.positives_UI.nonzero()
        pairs = pa.table({"user_id": self.users.take(user), "item_id": self.items.take(item)})
        found = of.join(pairs, keys=["user_id", "item_id"], join_type="left semi").select(of.column_names).cast(of.schema)
        return found.sort_by([("day", "ascending"), ("user_id", "ascending"), ("item_id", "ascending")])


def _newcomers(whole: TrainingTables, *, inputs: ModelInputs, end: datetime, config: PipelineConfig) -> Newcomers:
    theirs = whole.inputs(config=config, as_of=end)
    assert theirs.items == inputs.items  # noqa: S101  (one catalogue)
    enough = np.flatnonzero(np.diff(theirs.positives_UI.indptr) > max(FIRST_LIKES)).astype(np.int64)
    return Newcomers(Vocabulary("user", theirs.users.take(enough)), theirs.items, theirs.histories.take(enough))


def _chosen(matrix: sp.csr_array, chosen_E: BoolArray) -> sp.csr_array:
    row_E = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    return sp.csr_array((matrix.data[chosen_E], (row_E[chosen_E], matrix.indices[chosen_E])), shape=matrix.shape)


def _figures(scores_TI: FloatArray, *, met_TI: sp.csr_array, relevant_TI: sp.csr_array, offered_I: BoolArray) -> Row:
    """How much of what each user likes lies among the best offered items that they have not met, by metric."""
    cost_TI = np.where(offered_I, -scores_TI, np.inf)
    cost_TI[met_TI.nonzero()] = np.inf
    best_TK: IntArray = np.argsort(cost_TI, axis=1, kind="stable")[:, : max(CUTOFFS)]
    hits_TK = np.take_along_axis(relevant_TI.toarray() != 0, best_TK, axis=1)
    found = accuracy(hits_TK, num_relevant_U=np.diff(relevant_TI.indptr).astype(np.int64), cutoffs=CUTOFFS)
    return {metric: with_interval(found[metric]) for metric in METRICS}


if __name__ == "__main__":
    main(parse_options(__doc__))
