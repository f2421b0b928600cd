"""Is an item found from a description of it that was never read?

The question is the second half of an item's own text: of its description by sentences, where it has at least two; where a set has titles
alone, of the title's words, where it has at least eight. That half is taken out before anything is encoded, counted or linked: the
catalogue keeps the title, the first half, tags and attributes. The one answer is the item it was taken from, among the whole catalogue.
Ways: BM25 (Lucene's form, k1 1.5, b 0.75; words, Chinese by jieba) over the same texts that the encoder reads, the cosine alone, and
what the service ranks by: named interests and what arrives over the graph added. Last, which the service does not do, the sum of that
and BM25 as standard scores. 1,000 items of a set are asked for, drawn at random.
Means with 95% intervals by bootstrap over questions; `minus bm25` is paired.

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
from benchmarks.question import COSINE, NAMED, PASSED, arrived, ask
from benchmarks.report import Options, Row, asked, data_folder, parse_options, publish
from ml.config import PipelineConfig
from ml.config.pipeline import QuestionConfig
from ml.text.cache import EmbeddingCache
from ml.text.encoder import load_encoder
from ml.text.items import item_texts

Scores = npt.NDArray[np.float64]
Parts = tuple[str, str]

SEED = 11
NUM_QUESTIONS, QUICK_QUESTIONS = 1000, 200
# Of a first look, so that it is one: a small catalogue is easier.
QUICK_ITEMS = 1000
NUM_SHOWN = 10
BM25, BOTH = "BM25", "that and BM25"
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
    for name, (folder_name, how) in asked(SETS, options=options).items():
        place = data_folder(folder_name)
        if place is None:
            continue
        whole = next(iter(READERS[folder_name](place)))
        catalogue = halved(
            drawn(whole, num_items=QUICK_ITEMS) if options.quick else whole,
            how=how,
            num_questions=QUICK_QUESTIONS if options.quick else NUM_QUESTIONS,
        )
        with tempfile.TemporaryDirectory() as folder:
            cache = EmbeddingCache(Path(folder), space=encoder.space)
            world = build_world(catalogue, labels=catalogue.labels, protocol="untouched", encoder=encoder, cache=cache, seed=SEED)
        rows += table(name, world, language=catalogue.language)
    publish("free_text", rows, options=options)


def drawn(catalogue: Catalogue, *, num_items: int) -> Catalogue:
    """Some of the items, drawn at random."""
    chosen = np.random.default_rng(SEED).permutation(catalogue.items.num_rows)[:num_items]
    return replace(catalogue, items=catalogue.items.take(pa.array(np.sort(chosen))))


def halved(catalogue: Catalogue, *, how: Divided, num_questions: int) -> Catalogue:
    """The catalogue without the second halves of the items that are asked for; its labels are the questions, one an item."""
    texts = catalogue.items.column(how.column).to_pylist()
    parts = {place: found for place, text in enumerate(texts) if (found := how.divide(text or "")) is not None}
    order = np.random.default_rng(SEED).permutation(sorted(parts))[:num_questions]
    ids = catalogue.items.column("item_id").to_pylist()
    labels = tuple(Label(ids[place], (parts[place][1],), frozenset({ids[place]}), frozenset()) for place in sorted(order.tolist()))
    kept = [parts[place][0] if place in set(order.tolist()) else text for place, text in enumerate(texts)]
    column = catalogue.items.column_names.index(how.column)
    field = catalogue.items.schema.field(column)
    return replace(catalogue, items=catalogue.items.set_column(column, field, pa.array(kept, field.type)), labels=labels)


def table(name: str, world: World, *, language: str) -> list[Row]:
    """A row per way."""
    asked_of = ask(world)
    questions = np.arange(len(world.texts))
    config = QuestionConfig()
    scores = {
        BM25: bm25_scores(world, language=language),
        COSINE: asked_of.base[COSINE],
        NAMED: asked_of.base[NAMED],
        PASSED: asked_of.base[NAMED] + config.graph_weight * arrived(asked_of, config=config, questions=questions),
    }
    scores[BOTH] = standard(scores[BM25]) + standard(scores[PASSED])
    found = {way: found_Q(scores_QI, world=world) for way, scores_QI in scores.items()}
    return [
        {
            "set": name,
            "items": world.items.num_rows,
            "questions": len(questions),
            "by": way,
            f"recall@{NUM_SHOWN}": with_interval(values),
            "minus bm25": None if way == BM25 else with_interval(values - found[BM25], sign="+"),
        }
        for way, values in found.items()
    ]


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
