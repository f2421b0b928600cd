"""Models on published splits under the protocol of each: figures beside published ones, with what they cost.

This is the last run: it asks the test of every split, once, with settings that `benchmarks.quality_choice` found on
validation parts. Sets are found by INTEREST_GRAPH_DATA or beside the checkout; those that are not there are named.
`--quick` asks a sample of users of gowalla and of the smallest set.

python -m benchmarks.quality [--quick] [--json FILE]
"""

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import scipy.sparse as sp

from benchmarks.intervals import with_interval
from benchmarks.published.items import read_item_vectors
from benchmarks.published.peers import PEERS, Factors
from benchmarks.published.questions import Question, final, rehearsal
from benchmarks.published.readers import SPLITS, read_split
from benchmarks.published.split import PublishedSplit
from benchmarks.report import Cost, Options, Row, costed, parse_options, publish, timed
from ml.config import PipelineConfig
from ml.config.pipeline import HybridConfig
from ml.ids import FloatArray, IntArray
from ml.models.ease import EASE
from ml.models.gnn.gat import GAT
from ml.models.gnn.interest_gnn import InterestGNN
from ml.models.gnn.lightgcn import LightGCN
from ml.models.gnn.sage import GraphSAGE
from ml.models.histories import Recency
from ml.models.hybrid.hybrid import Hybrid
from ml.models.ials import IALS
from ml.models.inputs import ModelInputs
from ml.models.item_knn import ItemKNN
from ml.models.node2vec import Node2Vec
from ml.models.popularity import Popularity
from ml.models.recommender import Recommender
from ml.models.spectral_filter import SpectralFilter
from ml.models.text_only import TextOnly
from ml.models.transitions import Transitions
from ml.models.user_knn import UserKNN

Contestant = Recommender | Factors

QUICK_SPLITS, QUICK_USERS = ("gowalla-lightgcn", "amazon-scientific-text"), 2000
# EASE is dense: 12 bytes x items squared at its peak.
EASE_LIMIT_GIB = 6.0
SPECTRAL_FILTERS: Mapping[str, Callable[..., SpectralFilter]] = {
    "gowalla-lightgcn": partial(SpectralFilter, num_vectors=1024, singular_power=0.5, neighborhood=2.0),
    "amazon-book-kgat": partial(SpectralFilter, num_vectors=1024, singular_power=0.5, degree_power=0.55, neighborhood=1.0),
    "s3rec-beauty": partial(SpectralFilter, num_vectors=128, singular_power=0.5, neighborhood=0.5),
    "s3rec-sports": partial(SpectralFilter, num_vectors=128, singular_power=0.5, neighborhood=0.5),
    "amazon-scientific-text": partial(SpectralFilter, num_vectors=128, singular_power=0.5, neighborhood=1.0),
}
# Of the sequence splits, by `benchmarks.sequences`.
RECENT: Mapping[str, Recency] = {
    "s3rec-beauty": Recency(2.0),
    "s3rec-sports": Recency(4.0),
    "amazon-scientific-text": Recency(4.0),
}
TRANSITIONS: Mapping[str, Callable[..., Transitions]] = {
    "s3rec-beauty": partial(Transitions, recency=Recency(1.5), backward=0.3, gap_power=0.5),
    "s3rec-sports": partial(Transitions, recency=Recency(4.0), backward=0.6, gap_power=0.25),
    "amazon-scientific-text": partial(Transitions, recency=Recency(4.0), backward=1.0, gap_power=0.25),
}


# Where items say what they are, a profile of the last few; in sequences the last items matter more.
ITEM_RECENCY = Recency(2.0)
# Users whose withheld items the pool's weights are learned from, and what counts there.
CHOICE_USERS = 5000


@dataclass
class ScoredModel:
    """A fitted model and the processor seconds its scores took, apart from ranking them."""

    model: Contestant
    cpu_seconds: float = 0.0

    def score(self, user_index: IntArray) -> FloatArray:
        """The model's scores, timed."""
        with timed() as timing:
            scores_BI = self.model.score(user_index)
        self.cpu_seconds += timing.cpu_seconds
        return scores_BI


def main(options: Options) -> None:
    """Measure every split that is here and publish the table."""
    rows: list[Row] = []
    absent: list[str] = []
    for name in options.only or (QUICK_SPLITS if options.quick else SPLITS):
        split = read_split(name)
        if split is None:
            absent.append(name)
        else:
            num_users = QUICK_USERS if options.quick else None
            rows += measure(split, num_users=num_users)
    notes = [
        "intervals: 95%, bootstrap over users; cpu s: processor seconds over all threads; rank: the best of all scores",
        "grown MiB: peak resident memory of fitting and ranking, minus that just before",
        "hybrid: weights learned on withheld train items or the validation part, then fitted on all that is known; both in its fit cpu s",
        "networks by themselves: epochs and popularity correction chosen in the same way",
        *([f"not on this machine: {', '.join(absent)}"] if absent else []),
    ]
    publish("quality", rows, options=options, notes=notes)


def measure(split: PublishedSplit, *, num_users: int | None) -> Iterator[Row]:
    """A row per model; only here, with settings that are settled, is a test asked."""
    vectors_ID = read_item_vectors(split.name)
    question = final(split, num_users=num_users, rng=_rng())
    inputs = _known(question, vectors_ID)
    for model in contestants(split.name):
        yield _told(_row(split, question=question, inputs=inputs, model=model))
    for network in networks(split.name):
        yield _told(_trained_row(split, question=question, inputs=inputs, network=network))
    with costed() as fitting:
        hybrid = _chosen_hybrid(split, vectors_ID=vectors_ID)
        hybrid.fit(inputs, rng=_rng())
    yield _told(_figures(split, question=question, model=hybrid, fitting=fitting))


def contestants(name: str) -> Iterator[Contestant]:
    """The models of a split, unfitted, made one at a time so that only one is held."""
    yield Popularity()
    yield UserKNN()
    yield ItemKNN()
    yield EASE(max_items=_most_items())
    yield IALS()
    yield SPECTRAL_FILTERS[name]()
    if name in TRANSITIONS:
        yield ItemKNN(recency=RECENT[name])
        yield EASE(max_items=_most_items(), recency=RECENT[name])
        yield TRANSITIONS[name]()
        yield TextOnly(recency=ITEM_RECENCY)
        yield Node2Vec()
    else:
        yield LightGCN()
    yield from (peer() for peer in PEERS)


def networks(name: str) -> Iterator[InterestGNN | LightGCN]:
    """The networks of a split, unfitted: epochs and popularity correction are chosen on what `rehearsal` withholds.

    Only where likes are few enough: those on the typed graph pass messages at every step, which costs 400 times as much on gowalla.
    """
    if name in TRANSITIONS:
        yield LightGCN()
        yield InterestGNN()
        yield GraphSAGE()
        yield GAT()


def hybrid_models(name: str) -> dict[str, Recommender]:
    """What the hybrid of a split pools, unfitted: models that err differently."""
    if name in TRANSITIONS:
        return {
            Transitions.name: TRANSITIONS[name](),
            TextOnly.name: TextOnly(recency=ITEM_RECENCY),
            ItemKNN.name: ItemKNN(recency=RECENT[name]),
            SpectralFilter.name: SPECTRAL_FILTERS[name](recency=RECENT[name]),
            Popularity.name: Popularity(),
        }
    return {
        SpectralFilter.name: SPECTRAL_FILTERS[name](),
        LightGCN.name: LightGCN(),
        ItemKNN.name: ItemKNN(),
        UserKNN.name: UserKNN(),
        Popularity.name: Popularity(),
    }


def _chosen_hybrid(split: PublishedSplit, *, vectors_ID: FloatArray | None) -> Hybrid:
    """Unfitted, with weights that were learned on what `rehearsal` withholds."""
    inputs, asked_UI = _rehearsed(split, vectors_ID=vectors_ID)
    # Known by behaviour, the ranker has nothing to read that the pool has not; where items say what they are it may.
    config = HybridConfig(list_length=split.protocol.judged_length, max_trees=HybridConfig().max_trees if vectors_ID is not None else 0)
    tuned = Hybrid(hybrid_models(split.name), config=config)
    tuned.fit(inputs, rng=_rng(), validation_UI=asked_UI)
    print(dict(tuned.choices.opinions), *tuned.choices.stages, sep="\n", file=sys.stderr, flush=True)
    return Hybrid(hybrid_models(split.name), config=config, choices=tuned.choices)


def _rehearsed(split: PublishedSplit, *, vectors_ID: FloatArray | None) -> tuple[ModelInputs, sp.csr_array]:
    """What a model may know while it chooses, and what it is then asked for by `CHOICE_USERS` users, [U, I]."""
    rehearsed = rehearsal(split, num_users=CHOICE_USERS, rng=_rng())
    is_asked_U = np.zeros(split.train_UI.shape[0], dtype=np.float32)
    is_asked_U[rehearsed.user_index] = 1.0
    asked_UI = sp.csr_array(sp.diags_array(is_asked_U) @ rehearsed.answer_UI)
    asked_UI.eliminate_zeros()
    return _known(rehearsed, vectors_ID), asked_UI


def _known(question: Question, vectors_ID: FloatArray | None) -> ModelInputs:
    return question.inputs if vectors_ID is None else replace(question.inputs, text_ID=vectors_ID)


def labelled(model: Contestant) -> str:
    """The model's name, with the half-life of its likes where it has one."""
    recency = getattr(model, "recency", None)
    return model.name if recency is None else f"{model.name}, half-life {recency.half_life:g} {recency.unit}"


def _told(row: Row) -> Row:
    """The row, told on the error stream too: a full run takes the better part of an hour, and a test is asked once."""
    print(json.dumps(dict(row)), file=sys.stderr, flush=True)
    return row


def _most_items() -> int:
    return int(np.sqrt(EASE_LIMIT_GIB * 2**30 / 12))


def _trained_row(split: PublishedSplit, *, question: Question, inputs: ModelInputs, network: InterestGNN | LightGCN) -> Row:
    with costed() as fitting:
        early, asked_UI = _rehearsed(split, vectors_ID=inputs.text_ID)
        network.fit(early, rng=_rng(), validation_UI=asked_UI)
        chosen = network.as_chosen().fit(inputs, rng=_rng())
    return _figures(split, question=question, model=chosen, fitting=fitting)


def _row(split: PublishedSplit, *, question: Question, inputs: ModelInputs, model: Contestant) -> Row:
    num_liked = np.count_nonzero(question.known_UI.sum(axis=0))
    if isinstance(model, EASE) and num_liked > model.max_items:
        needed = 12 * num_liked**2 / 2**30
        note = f"not run: {num_liked:,} items need {needed:.1f} GiB, the limit is {EASE_LIMIT_GIB:.0f}"
        return {"split": split.name, "model": labelled(model), "users": len(question.user_index), "note": note}
    with costed() as fitting:
        model.fit(inputs, rng=_rng())
    return _figures(split, question=question, model=model, fitting=fitting)


def _figures(split: PublishedSplit, *, question: Question, model: Contestant, fitting: Cost) -> Row:
    scored = ScoredModel(model)
    with costed() as ranking:
        figures = question.put_to(scored, protocol=split.protocol)
    return {
        "split": split.name,
        "model": labelled(model),
        "users": len(question.user_index),
        **{name: with_interval(values) for name, values in figures.items()},
        "fit cpu s": fitting.timing.cpu_seconds,
        "score cpu s": scored.cpu_seconds,
        "rank cpu s": ranking.timing.cpu_seconds - scored.cpu_seconds,
        "grown MiB": max(fitting.grown_bytes, ranking.grown_bytes) / 2**20,
    }


def _rng() -> np.random.Generator:
    return np.random.default_rng(PipelineConfig().evaluation.seed)


if __name__ == "__main__":
    main(parse_options(__doc__))
