"""Interest points from texts alone: what they foretell, whether their words belong together, whether they stay.

Foretelling: interests found in movielens overviews, no tag or genre given, say which genres and free tags a film
has, by the likest films of the other four folds; TF-IDF keywords under the same rule, as many per film, and all TF-IDF
words. mAP is the mean over labels of the average precision over films. Coherence: normalised pointwise
mutual information (Bouma, GSCL 2009) of the five first words of each theme of the last level, over films, beside
k-means with as many clusters and c-TF-IDF words. Stability: the share of themes whose id and name are still there when
a tenth of the films is new, replayed and fitted from nothing. Weights were set by hand on films of even id of movielens
(`tuned`), the naming rule on all films; mAP of those of odd id was only measured.

python -m benchmarks.interest_points [--quick] [--json FILE]
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import scipy.sparse as sp
from sklearn.cluster import KMeans
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import average_precision_score

from benchmarks.knowledge import as_items
from benchmarks.report import Options, Row, data_folder, parse_options, publish
from ml.config.pipeline import InterestConfig, TextConfig
from ml.contracts.vectors import vectors_to_matrix
from ml.ids import FloatArray, IntArray, Vocabulary
from ml.interests.growth import replay
from ml.interests.naming import count_phrases, telling_phrases
from ml.interests.phrases import Phrases, find_phrases
from ml.interests.points import find_interests
from ml.text.cache import EmbeddingCache
from ml.text.encoder import load_encoder
from ml.text.items import embed_items
from ml.words.tokens import tokenise

Matrix = npt.NDArray[np.float64]

QUICK_FILMS = 1500
NUM_FOLDS = 5
NUM_NEIGHBORS = 30
# Films a label needs: below, its average precision is chance.
MIN_LABELLED = 10
NUM_WORDS = 5
NEW_SHARE = 0.1
CONFIG = InterestConfig()
START = datetime(2020, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Films:
    """Films with a text, their vectors, and what other people call them: a list of labels per film by kind."""

    items: pa.Table
    embeddings: pa.Table
    labels: dict[str, list[list[str]]]
    language: str

    @property
    def vectors_ID(self) -> FloatArray:
        """Vectors in the order of `items`."""
        return vectors_to_matrix(self.embeddings.column("vector"))


def main(options: Options) -> None:
    """Measure every set that is here and publish the table."""
    rows: list[Row] = []
    folder = data_folder("movielens-small-text")
    if folder is not None:
        every = movielens(folder, limit=QUICK_FILMS if options.quick else None)
        for half, name in enumerate(("tuned", "measured")):
            films = take(every, [int(item) % 2 == half for item in every.items.column("item_id").to_pylist()])
            rows += [{"films": f"movielens {name}", **row} for row in (*foretelling(films), *coherence(films))]
        rows += [{"films": "movielens", **row} for row in stability(every)]
    folder = data_folder("zh-douban-movies-1000")
    if folder is not None:
        films = douban(folder)
        rows += [{"films": "douban", **row} for row in (*coherence(films), *stability(films))]
    publish("interest points", rows, options=options)


def movielens(folder: Path, *, limit: int | None) -> Films:
    """Films with an overview; genres and free tags apart."""
    films = pq.read_table(folder / "movies.parquet", columns=["movieId", "overview", "genres"])
    films = films.filter(pc.greater(pc.utf8_length(pc.fill_null(films.column("overview"), "")), 0)).slice(0, limit)
    given = pq.read_table(folder / "tags.parquet", columns=["movieId", "tag"])
    tags: dict[int, list[str]] = {}
    for film, tag in zip(given.column("movieId").to_pylist(), given.column("tag").to_pylist(), strict=True):
        tags.setdefault(film, []).append(tag.casefold())
    labels = {
        "genres": [genres.split("|") for genres in films.column("genres").to_pylist()],
        "free tags": [tags.get(film, []) for film in films.column("movieId").to_pylist()],
    }
    return _films(films.column("movieId"), films.column("overview"), labels=labels, language="en")


def douban(folder: Path) -> Films:
    """Films with a summary."""
    films = pq.read_table(folder / "movies.parquet", columns=["movie", "summary"])
    films = films.filter(pc.greater(pc.utf8_length(pc.fill_null(films.column("summary"), "")), 0))
    return _films(films.column("movie"), films.column("summary"), labels={}, language="zh")


def _films(ids: pa.ChunkedArray, texts: pa.ChunkedArray, *, labels: dict[str, list[list[str]]], language: str) -> Films:
    """Texts are all that is known: titles are empty."""
    padded = pc.utf8_lpad(pc.cast(ids, pa.string()), width=8, padding="0")
    empty = pa.chunked_array([pa.repeat(pa.scalar(""), len(ids))])
    items = as_items(padded, empty, texts)
    order = pc.sort_indices(items, [("item_id", "ascending")])
    encoder = load_encoder(TextConfig())
    with TemporaryDirectory() as cache:
        embeddings, _ = embed_items(items, encoder=encoder, cache=EmbeddingCache(Path(cache), space=encoder.space))
    ordered = {kind: [lists[row] for row in order.to_pylist()] for kind, lists in labels.items()}
    return Films(items.take(order), embeddings, ordered, language)


def take(films: Films, chosen: Sequence[bool]) -> Films:
    """Some of the films."""
    mask = pa.array(chosen)
    labels = {kind: [found for found, kept in zip(lists, chosen, strict=True) if kept] for kind, lists in films.labels.items()}
    return Films(films.items.filter(mask), films.embeddings.filter(mask), labels, films.language)


def foretelling(films: Films) -> list[Row]:
    """mAP of genres and tags from interests and from keywords."""
    ours_IP = interests_of(films, config=CONFIG)
    words_IV = TfidfVectorizer(stop_words="english", sublinear_tf=True, min_df=2).fit_transform(films.items.column("text").to_pylist())
    described = {
        "interests": ours_IP,
        "interests without themes": interests_of(films, config=CONFIG.model_copy(update={"theme_weight": 0.0})),
        "TF-IDF keywords, as many": strongest(sp.csr_array(words_IV), limit=round(ours_IP.nnz / ours_IP.shape[0])),
        "all TF-IDF words": sp.csr_array(words_IV),
        "the vectors themselves": sp.csr_array(films.vectors_ID),
    }
    return [
        {"measure": f"mAP of {kind}", "with": name, "value": label_map(matrix, labels=labels)}
        for kind, labels in films.labels.items()
        for name, matrix in described.items()
    ]


def interests_of(films: Films, *, config: InterestConfig) -> sp.csr_array:
    """Weights of items on interests, shape [I, P]."""
    points, found = find_interests(films.items, item_embeddings=films.embeddings, config=config, language=films.language)
    items, interests = Vocabulary("item", films.items.column("item_id")), Vocabulary("interest", points.column("interest_id"))
    place = (items.positions(found.column("item_id")), interests.positions(found.column("interest_id")))
    return sp.csr_array((np.asarray(found.column("weight")), place), shape=(len(items), len(interests)))


def strongest(matrix: sp.csr_array, *, limit: int) -> sp.csr_array:
    """Each row's `limit` largest weights, of unit norm again."""
    pairs = matrix.tocoo()
    order = np.lexsort((pairs.col, -pairs.data, pairs.row))
    place = np.arange(len(order)) - np.searchsorted(pairs.row[order], pairs.row[order])
    kept = order[place < limit]
    return sp.csr_array((pairs.data[kept], (pairs.row[kept], pairs.col[kept])), shape=matrix.shape)


def label_map(matrix_IF: sp.csr_array, *, labels: list[list[str]]) -> float:
    """Mean average precision over labels; each film is told by the likest films of the other folds that have any label."""
    labelled = np.flatnonzero([len(found) > 0 for found in labels])
    names = sorted({name for found in labels for name in found})
    has_IL = np.zeros((len(labels), len(names)))
    for row, found in enumerate(labels):
        has_IL[row, [names.index(name) for name in set(found)]] = 1.0
    has_IL = has_IL[labelled][:, has_IL.sum(axis=0) >= MIN_LABELLED]
    norms = np.sqrt(np.asarray(matrix_IF.multiply(matrix_IF).sum(axis=1)))
    unit_IF = sp.csr_array(sp.diags_array(1.0 / np.where(norms > 0, norms, 1.0)) @ matrix_IF)[labelled]
    fold_I = np.random.default_rng(0).integers(NUM_FOLDS, size=len(labelled))
    told_IL = np.zeros_like(has_IL)
    for fold in range(NUM_FOLDS):
        held, known = np.flatnonzero(fold_I == fold), np.flatnonzero(fold_I != fold)
        likeness_HK = np.asarray((unit_IF[held] @ unit_IF[known].T).toarray())
        told_IL[held] = _neighbours_say(likeness_HK, has_KL=has_IL[known])
    return float(np.mean([average_precision_score(has_IL[:, label], told_IL[:, label]) for label in range(has_IL.shape[1])]))


def _neighbours_say(likeness_HK: Matrix, *, has_KL: Matrix) -> Matrix:
    """Likeness-weighted share of the nearest that have each label, and how frequent it is where none is near."""
    floor_H1 = np.sort(likeness_HK, axis=1)[:, [-NUM_NEIGHBORS]]
    near_HK = np.where(likeness_HK >= floor_H1, likeness_HK, 0.0)
    said: Matrix = (near_HK @ has_KL + has_KL.mean(axis=0)) / (near_HK.sum(axis=1, keepdims=True) + 1.0)
    return said


def coherence(films: Films) -> list[Row]:
    """NPMI of the words of themes and of k-means clusters."""
    phrases = _phrases(films)
    known = np.zeros(films.items.num_rows, dtype=np.int64)
    codes = replay(films.vectors_ID, known_at_I=known, phrases_of_first=lambda _: phrases, config=CONFIG)
    last = np.setdiff1d(np.arange(len(codes.parent_C)), codes.parent_C)
    counts = count_phrases(phrases, code_IL=codes.code_IL, parent_C=codes.parent_C)
    ranked = telling_phrases(counts, min_items=CONFIG.min_items)
    clusters = KMeans(len(last), n_init=1, random_state=0).fit(films.vectors_ID).labels_.astype(np.int64)
    ours, theirs = npmi([ranked[code] for code in last], phrases=phrases), npmi(class_words(clusters, phrases=phrases), phrases=phrases)
    return [
        {"measure": f"NPMI of {NUM_WORDS} words", "with": f"{len(last)} themes of the last level", "value": ours},
        {"measure": f"NPMI of {NUM_WORDS} words", "with": f"k-means, {len(last)} clusters, c-TF-IDF", "value": theirs},
    ]


def _phrases(films: Films) -> Phrases:
    tokens = tokenise(films.items.column("text"), language=films.language)
    num_films = films.items.num_rows
    return find_phrases(tokens, num_texts=num_films, min_texts=CONFIG.min_items, max_texts=int(CONFIG.max_item_share * num_films))


def class_words(cluster_I: IntArray, *, phrases: Phrases) -> list[IntArray]:
    """The first phrases of each cluster by c-TF-IDF as BERTopic has it (Grootendorst, arXiv 2203.05794)."""
    chooser_CI = sp.csr_array((np.ones(len(cluster_I)), (cluster_I, np.arange(len(cluster_I)))))
    counts_CP = (chooser_CI @ phrases.counts_NP).toarray()
    scores_CP = counts_CP / counts_CP.sum(axis=1, keepdims=True) * np.log1p(counts_CP.sum(axis=1).mean() / counts_CP.sum(axis=0))
    return list(np.argsort(-scores_CP, axis=1, kind="stable")[:, :NUM_WORDS])


def npmi(ranked: Sequence[IntArray], *, phrases: Phrases) -> float:
    """Mean over lists of the mean NPMI of their pairs of words in one film; -1 for a pair never met."""
    carried_IP = sp.csc_array(phrases.counts_NP.astype(bool).astype(np.float64))
    means = []
    for words in (found[:NUM_WORDS] for found in ranked if len(found) > 1):
        together = (carried_IP[:, words].T @ carried_IP[:, words]).toarray() / carried_IP.shape[0]
        left, right = np.triu_indices(len(words), k=1)
        both, alone = together[left, right], np.diag(together)
        met = both > 0
        pairs = np.full(len(both), -1.0)
        pairs[met] = np.log(both[met] / (alone[left] * alone[right])[met]) / -np.log(both[met])
        means.append(pairs.mean())
    return float(np.mean(means))


def stability(films: Films) -> list[Row]:
    """Share of themes whose id and name are still there when a tenth of the films is new; the films appear in random order, one a day."""
    before = round(films.items.num_rows * (1 - NEW_SHARE))
    order = np.random.default_rng(0).permutation(films.items.num_rows)
    seen = {
        "replayed": [START + timedelta(days=int(day)) for day in np.argsort(order)],
        "fitted from nothing": [None] * len(order),
    }
    rows: list[Row] = []
    for name, days in seen.items():
        items = films.items.set_column(
            films.items.schema.get_field_index("created_at"), "created_at", pa.array(days, pa.timestamp("us", "UTC"))
        )
        old = pa.array(np.argsort(order) < before)
        first, then = (_themes(chosen, films=films) for chosen in (items.filter(old), items))
        rows.append(
            {"measure": "themes kept, 10% new films", "with": f"{name}, {len(first)} themes", "value": len(first & then) / len(first)}
        )
    return rows


def _themes(items: pa.Table, *, films: Films) -> set[tuple[str, str]]:
    config = CONFIG.model_copy(update={"tag_weight": 0.0, "category_weight": 0.0, "keyphrase_weight": 0.0})
    points, _ = find_interests(items, item_embeddings=films.embeddings, config=config, language=films.language)
    return set(zip(points.column("interest_id").to_pylist(), points.column("name").to_pylist(), strict=True))


if __name__ == "__main__":
    main(parse_options(__doc__))
