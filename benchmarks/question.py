"""Do the graph, and the words of a question, find more than the question's cosine to each item?

Questions are what people call items: free tags and genres of films, people, category levels, brands, and the simulated
themes of the bundled sample. Under `removed` a label, and every node of its name or a near spelling of it, is
taken out of what is read (`benchmarks.asking.held_out`); under `half` half of its items have lost it and are asked for, the others
are left out of the lists; under `untouched` (free tags, which users gave and no column holds) the graph is as given, film keywords
included. Settings of the graph were chosen on a third of the labels of each set, what words count in `benchmarks.free_text`; the table is
of the rest: means over labels, 95% intervals by bootstrap over labels, `minus cosine` and `minus without words` paired.

python -m benchmarks.question [--quick] [--json FILE]
"""

import itertools
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.asking.catalogues import READERS, Catalogue, shop
from benchmarks.asking.held_out import PROTOCOLS, World, build_world
from benchmarks.intervals import with_interval
from benchmarks.report import Options, Row, data_folder, parse_options, publish
from ml.config.pipeline import QuestionConfig, TextConfig
from ml.contracts.vectors import vectors_to_matrix
from ml.evaluation.metrics import ndcg, recall
from ml.ids import BoolArray
from ml.ranking.lexical import WordIndex
from ml.ranking.matching import Points, cosines, match_interests, named_share
from ml.ranking.names import Names
from ml.ranking.query import NAMED_WEIGHT, about
from ml.ranking.question_graph import QuestionGraph, build_question_graph, pass_question
from ml.text.cache import EmbeddingCache
from ml.text.encoder import Encoder, load_encoder

Scores = npt.NDArray[np.float64]

SEED = 7
MOST_LABELS = 120
CHOSEN_SHARE = 1 / 3
COSINE, NAMED, PASSED, SERVICE = "cosine", "cosine and named interests", "passed over the graph", "with words (the service)"
WEIGHTS, NEAR_WEIGHTS = (0.1, 0.2, 0.4, 0.8), (0.0, 0.25)


@dataclass(frozen=True)
class Asked:
    """A world with scores of all items by each way, each shape [Q, I]; without what arrives over the graph, and that."""

    world: World
    graph: QuestionGraph
    base: Mapping[str, Scores]


def main(options: Options) -> None:
    """Measure every set that is here and publish the table; quick: the bundled sample alone."""
    encoder = load_encoder(TextConfig())
    with tempfile.TemporaryDirectory() as folder:
        cache = EmbeddingCache(Path(folder) / "vectors", space=encoder.space)
        found = catalogues(Path(folder) / "shop", only_sample=options.quick)
        asked = {name: ask(world) for name, world in worlds(found, encoder=encoder, cache=cache)}
    rows = [row for name, one in asked.items() for row in table(name, one)]
    publish("question", rows, options=options, notes=[] if options.quick else [choice(asked)])


def catalogues(folder: Path, *, only_sample: bool) -> Iterator[Catalogue]:
    """The bundled sample, and real sets that are on this machine."""
    yield from shop(folder)
    for name, read in READERS.items():
        place = None if only_sample else data_folder(name)
        if place is not None:
            yield from read(place)


def worlds(found: Iterable[Catalogue], *, encoder: Encoder, cache: EmbeddingCache) -> Iterator[tuple[str, World]]:
    """Each catalogue under each protocol that fits it, half of its labels held out."""
    for catalogue in found:
        order = np.random.default_rng(SEED).permutation(len(catalogue.labels))
        labels = [catalogue.labels[place] for place in sorted(order[: min(len(order) // 2, MOST_LABELS)])]
        for protocol in PROTOCOLS:
            if protocol != ("half" if not catalogue.where else "untouched"):
                world = build_world(catalogue, labels=labels, protocol=protocol, encoder=encoder, cache=cache, seed=SEED)
                yield f"{catalogue.name}, {protocol}", world


def ask(world: World) -> Asked:
    """Scores of every question by cosine alone, and as answered without a graph."""
    names = Names.from_tables(items=world.items, interest_points=world.interest_points, knowledge_graph=world.knowledge_graph)
    graph = build_question_graph(world.graph, item_embeddings=world.item_embeddings, interest_points=world.interest_points, names=names)
    items_ID = vectors_to_matrix(world.item_embeddings.column("vector"))
    cosine_QI = np.array([cosines(vector, items_ID) for vector in world.vectors_QD], dtype=np.float64)
    points = Points.of(world.interest_points)
    about_IT = about(world.item_interests, items=graph.vocabularies["item"], interests=points.interests)
    found = [
        match_interests(vector, text=text, points=points, limit=20) for vector, text in zip(world.vectors_QD, world.texts, strict=True)
    ]
    share_QI = np.array([named_share(matches, about_IT=about_IT) for matches in found], dtype=np.float64)
    return Asked(world, graph, {COSINE: cosine_QI, NAMED: cosine_QI + NAMED_WEIGHT * share_QI})


def arrived(asked: Asked, *, config: QuestionConfig, questions: npt.NDArray[np.int64]) -> Scores:
    """What reaches the items for some questions, shape [questions, I]."""
    world = asked.world
    return np.array(
        [pass_question(asked.graph, world.vectors_QD[one], text=world.texts[one], config=config).arrived_I for one in questions]
    ).astype(np.float64)


def word_index(world: World) -> WordIndex:
    """The words of a world's items, as the service reads them."""
    return WordIndex.of(world.items, item_embeddings=world.item_embeddings, weight=QuestionConfig().word_weight)


def said(world: World) -> Scores:
    """What the questions' words say of the items, shape [Q, I]."""
    index = word_index(world)
    return np.array([index.say(text).share_I for text in world.texts], dtype=np.float64)


def is_chosen(world: World) -> BoolArray:
    """Questions of the third of the labels on which settings were chosen, shape [Q]."""
    num_labels = int(world.label_Q.max()) + 1
    order = np.random.default_rng(SEED).permutation(num_labels)
    return np.isin(world.label_Q, order[: max(int(num_labels * CHOSEN_SHARE), 1)])


def figures(world: World, scores_QI: Scores, *, questions: npt.NDArray[np.int64]) -> Scores:
    """Recall@20 and NDCG@10 of each label, the mean over its texts, shape [labels, 2]."""
    listed_QK = np.argsort(-np.where(world.hidden_QI[questions], -np.inf, scores_QI), axis=1, kind="stable")[:, :20]
    relevant_QI = world.relevant_QI[questions]
    hits_QK, num_Q = np.take_along_axis(relevant_QI, listed_QK, axis=1), relevant_QI.sum(axis=1)
    both_Q2 = np.column_stack([recall(hits_QK, num_Q), ndcg(hits_QK[:, :10], num_Q)])
    _, place_Q = np.unique(world.label_Q[questions], return_inverse=True)
    counts = np.bincount(place_Q)
    return np.column_stack([np.bincount(place_Q, weights=column) / counts for column in both_Q2.T])


def table(name: str, asked: Asked) -> list[Row]:
    """One row per way, on the labels on which nothing was chosen."""
    rest = _with_answers(asked.world, np.flatnonzero(~is_chosen(asked.world)))
    config = QuestionConfig()
    scores = {way: base[rest] for way, base in asked.base.items()}
    scores[PASSED] = scores[NAMED] + config.graph_weight * arrived(asked, config=config, questions=rest)
    scores[SERVICE] = scores[PASSED] + config.word_weight * said(asked.world)[rest]
    measured = {way: figures(asked.world, found, questions=rest) for way, found in scores.items()}
    return [
        {
            "questions": name,
            "labels": len(values),
            "by": way,
            "recall@20": with_interval(values[:, 0]),
            "ndcg@10": with_interval(values[:, 1]),
            "recall@20 minus cosine": None if way == COSINE else with_interval(values[:, 0] - measured[COSINE][:, 0], sign="+"),
            "ndcg@10 minus cosine": None if way == COSINE else with_interval(values[:, 1] - measured[COSINE][:, 1], sign="+"),
            "ndcg@10 minus without words": with_interval(values[:, 1] - measured[PASSED][:, 1], sign="+") if way == SERVICE else None,
        }
        for way, values in measured.items()
    ]


def choice(asked: Mapping[str, Asked]) -> str:
    """NDCG@10 of weights tried on the chosen third, the mean over sets."""
    means: dict[tuple[float, float], list[float]] = {pair: [] for pair in itertools.product(NEAR_WEIGHTS, WEIGHTS)}
    for one in asked.values():
        questions = _with_answers(one.world, np.flatnonzero(is_chosen(one.world)))
        for near in NEAR_WEIGHTS:
            came = arrived(one, config=QuestionConfig(near_weight=near), questions=questions)
            for weight in WEIGHTS:
                values = figures(one.world, one.base[NAMED][questions] + weight * came, questions=questions)
                means[near, weight].append(float(values[:, 1].mean()))
    told = "; ".join(f"near {near:g}, graph {weight:g}: {np.mean(values):.4f}" for (near, weight), values in means.items())
    return f"ndcg@10 on the third that settings were chosen on, mean over sets: {told}"


def _with_answers(world: World, questions: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    return questions[world.relevant_QI[questions].any(axis=1)]


if __name__ == "__main__":
    main(parse_options(__doc__))
