"""Is an item found from a description of it that was never read?

The question is the second half of an item's own text: of its description by sentences, where it has at least two; where a set has titles
alone, of the title's words, where it has at least eight. That half is taken out before anything is encoded, counted or linked: the
catalogue keeps the title, the first half, tags and attributes. The one answer is the item it was taken from, among the whole catalogue.
Ways: BM25 (Lucene's form, k1 1.5, b 0.75; words, Chinese by jieba) over the same texts that the encoder reads; the service's words
alone (the same without stop words, plurals as singulars); the cosine alone; named interests and what arrives over the graph added; and
with words, as the service ranks (`QueryIndex.ask`). Asked for are 1,000 items of a set drawn at random, or half of those that can be
where there are fewer than 2,000. What words count was chosen on up to 500 of the others, in a catalogue of their own.
Means with 95% intervals by bootstrap over questions; differences are paired.

python -m benchmarks.free_text [--quick] [--only NAME ...] [--json FILE]
"""

import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import bm25s
import jieba
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.asking.catalogues import READERS, Catalogue, Label
from benchmarks.asking.held_out import World, build_world
from benchmarks.intervals import with_interval
from benchmarks.question import COSINE, NAMED, PASSED, SERVICE, Asked, arrived, ask, said, word_index
from benchmarks.report import Options, Row, asked, data_folder, parse_options, publish
from ml.config import PipelineConfig
from ml.config.pipeline import QuestionConfig
from ml.ranking.lexical import WordIndex
from ml.ranking.query import Knowledge, QueryIndex
from ml.text.cache import EmbeddingCache
from ml.text.encoder import Encoder, load_encoder
from ml.text.items import item_texts

Scores = npt.NDArray[np.float64]
Parts = tuple[str, str]

SEED = 11
NUM_QUESTIONS, QUICK_QUESTIONS, NUM_CHOSEN_ON = 1000, 200, 500
# Of a first look, so that it is one: a small catalogue is easier.
QUICK_ITEMS = 1000
NUM_SHOWN = 10
BM25, WORDS = "BM25", "words alone"
WEIGHTS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0, 1.5, 2.0)
MIN_SENTENCES, MIN_TITLE_WORDS = 2, 8
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|(?<=[。！？…])\s*")
_WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True)
class Divided:
    """How a set's items are divided: the column that loses its second half, and what divides it."""

    column: str
    divide: Callable[[str], Parts | None]


def by_sentences(text: str) -> Parts | None:
    """The first half of a description and the second, the first the longer where they differ; None for a single sentence."""
    sentences = [part.strip() for part in _SENTENCE_END.split(text) if _WORD.search(part)]
    if len(sentences) < MIN_SENTENCES:
        return None
    middle = (len(sentences) + 1) // 2
    return " ".join(sentences[:middle]), " ".join(sentences[middle:])


def by_words(title: str) -> Parts | None:
    """The same of a title's words; None for a short one."""
    words = title.split()
    if len(words) < MIN_TITLE_WORDS:
        return None
    middle = (len(words) + 1) // 2
    return " ".join(words[:middle]), " ".join(words[middle:])


SETS: Mapping[str, tuple[str, Divided]] = {
    "movielens": ("movielens-small-text", Divided("text", by_sentences)),
    "amazon-scientific-text": ("amazon-scientific-text", Divided("title", by_words)),
    "douban-zh": ("zh-douban-movies-1000", Divided("text", by_sentences)),
}


def main(options: Options) -> None:
    """Measure every set that is here and publish the table."""
    encoder = load_encoder(PipelineConfig().text)
    rows: list[Row] = []
    notes: list[str] = []
    for name, (folder_name, how) in asked(SETS, options=options).items():
        place = data_folder(folder_name)
        if place is None:
            continue
        whole = next(iter(READERS[folder_name](place)))
        catalogue = drawn(whole, num_items=QUICK_ITEMS) if options.quick else whole
        places = halves(catalogue, how=how)
        num_tested = min(QUICK_QUESTIONS if options.quick else NUM_QUESTIONS, len(places) // 2)
        with tempfile.TemporaryDirectory() as folder:
            cache = EmbeddingCache(Path(folder), space=encoder.space)
            rows += table(
                name,
                made(halved(catalogue, how=how, places=places[:num_tested]), encoder=encoder, cache=cache),
                language=catalogue.language,
            )
            if not options.quick:
                others = places[num_tested : num_tested + NUM_CHOSEN_ON]
                notes.append(choice(name, made(halved(catalogue, how=how, places=others), encoder=encoder, cache=cache)))
    publish("free_text", rows, options=options, notes=notes)


def made(catalogue: Catalogue, *, encoder: Encoder, cache: EmbeddingCache) -> World:
    """The catalogue's tables and its questions."""
    return build_world(catalogue, labels=catalogue.labels, protocol="untouched", encoder=encoder, cache=cache, seed=SEED)


def drawn(catalogue: Catalogue, *, num_items: int) -> Catalogue:
    """Some of the items, drawn at random."""
    chosen = np.random.default_rng(SEED).permutation(catalogue.items.num_rows)[:num_items]
    return replace(catalogue, items=catalogue.items.take(pa.array(np.sort(chosen))))


def halves(catalogue: Catalogue, *, how: Divided) -> list[int]:
    """Places of the items whose text can be divided, in an order drawn at random."""
    texts = catalogue.items.column(how.column).to_pylist()
    parted = [place for place, text in enumerate(texts) if how.divide(text or "") is not None]
    order: list[int] = np.random.default_rng(SEED).permutation(parted).tolist()
    return order


def halved(catalogue: Catalogue, *, how: Divided, places: Sequence[int]) -> Catalogue:
    """The catalogue without the second halves of the items at `places`; its labels are the questions, one an item."""
    kept, ids = catalogue.items.column(how.column).to_pylist(), catalogue.items.column("item_id").to_pylist()
    labels = []
    for place in sorted(places):
        parts = how.divide(kept[place] or "")
        assert parts is not None  # noqa: S101  (`halves` gives those that can be divided)
        kept[place] = parts[0]
        labels.append(Label(ids[place], (parts[1],), frozenset({ids[place]}), frozenset()))
    column = catalogue.items.column_names.index(how.column)
    field = catalogue.items.schema.field(column)
    return replace(catalogue, items=catalogue.items.set_column(column, field, pa.array(kept, field.type)), labels=tuple(labels))


def table(name: str, world: World, *, language: str) -> list[Row]:
    """A row per way."""
    asked_of = ask(world)
    words_QI = said(world)
    scores = {
        BM25: bm25_scores(world, language=language),
        WORDS: words_QI,
        COSINE: asked_of.base[COSINE],
        NAMED: asked_of.base[NAMED],
        PASSED: without_words(asked_of),
        SERVICE: served(asked_of, words=word_index(world)),
    }
    found = {way: found_Q(scores_QI, world=world) for way, scores_QI in scores.items()}
    return [
        {
            "set": name,
            "items": world.items.num_rows,
            "questions": len(world.texts),
            "by": way,
            f"recall@{NUM_SHOWN}": with_interval(values),
            **{
                f"minus {other}": None if way == other else with_interval(values - found[other], sign="+")
                for other in (BM25, WORDS, PASSED)
            },
        }
        for way, values in found.items()
    ]


def choice(name: str, world: World) -> str:
    """Recall of weights of words tried on questions that the table does not ask, beside the sum of standard scores."""
    words_QI, rest_QI = said(world), without_words(ask(world))
    tried = {f"{weight:g}": rest_QI + weight * words_QI for weight in WEIGHTS}
    tried |= {"none": rest_QI, "words alone": words_QI, "sum of standard scores": standard(rest_QI) + standard(words_QI)}
    told = "; ".join(f"{way}: {found_Q(scores_QI, world=world).mean():.4f}" for way, scores_QI in tried.items())
    return f"{name}: recall@{NUM_SHOWN} by weight of words on {len(world.texts)} other questions: {told}"


def without_words(asked_of: Asked) -> Scores:
    """Scores by cosine, named interests and the graph, shape [Q, I]."""
    config = QuestionConfig()
    return asked_of.base[NAMED] + config.graph_weight * arrived(asked_of, config=config, questions=np.arange(len(asked_of.world.texts)))


def served(asked_of: Asked, *, words: WordIndex) -> Scores:
    """Scores as the service gives them, shape [Q, I]."""
    world = asked_of.world
    index = QueryIndex.of(
        item_embeddings=world.item_embeddings,
        interest_points=world.interest_points,
        item_interests=world.item_interests,
        knowledge=Knowledge(asked_of.graph, QuestionConfig()),
        words=words,
    )
    answered = (
        index.ask(vector, space_id=world.space_id, text=text).score_I for vector, text in zip(world.vectors_QD, world.texts, strict=True)
    )
    return np.array(list(answered), dtype=np.float64)


def standard(scores_QI: Scores) -> Scores:
    """Of every question the scores less their mean, over their spread; 0 where all are equal."""
    spread_Q1 = scores_QI.std(axis=1, keepdims=True)
    found: Scores = (scores_QI - scores_QI.mean(axis=1, keepdims=True)) / np.where(spread_Q1 > 0, spread_Q1, 1.0)
    return found


def found_Q(scores_QI: Scores, *, world: World) -> Scores:
    """1 where the item is among the first, shape [Q]; equal scores by item id."""
    listed_QK = np.argsort(-scores_QI, axis=1, kind="stable")[:, :NUM_SHOWN]
    is_among_QK = np.take_along_axis(world.relevant_QI, listed_QK, axis=1)
    found: Scores = is_among_QK.max(axis=1).astype(np.float64)
    return found


def bm25_scores(world: World, *, language: str) -> Scores:
    """Scores of all items for every question, shape [Q, I], items in the order of `relevant_QI`: by id."""
    texts = item_texts(world.items.take(pc.sort_indices(world.items.column("item_id")))).to_pylist()
    index = bm25s.BM25()
    index.index([words(text, language=language) for text in texts], show_progress=False)
    known = index.vocab_dict
    scores_QI = np.zeros((len(world.texts), len(texts)))
    for row, text in enumerate(world.texts):
        said = [word for word in words(text, language=language) if word in known]
        if said:
            scores_QI[row] = index.get_scores(said)
    return scores_QI


def words(text: str, *, language: str) -> Sequence[str]:
    """Words in small letters, Chinese ones as jieba parts them."""
    parts = jieba.lcut(text) if language == "zh" else [text]
    return [word for part in parts for word in _WORD.findall(part.casefold())]


if __name__ == "__main__":
    main(parse_options(__doc__))
