"""What does the index of words cost that a release's texts are asked through: time to make, memory, time for a question?

Real texts of their own, none repeated, since Chinese words are parted once for equal texts: films (English), reviews (Chinese, standing in
for descriptions; no large Chinese catalogue is here). Seconds are of one core's processor time. Memory is what the index holds and by how
much the process grew at its peak meanwhile. Questions are the first 60 characters of texts, one at a time.

python -m benchmarks.lexical [--quick] [--json FILE]
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.report import Options, Row, costed, data_folder, parse_options, publish, timed
from ml.ranking.lexical import WordIndex
from ml.words.chinese import segment_chinese

NUM_QUESTIONS, QUICK_TEXTS = 200, 2000
ALL = 100_000


@dataclass(frozen=True)
class Texts:
    """Where a set's texts lie, and what reads them."""

    folder: str
    read: Callable[[Path], pa.ChunkedArray]


SETS: Mapping[str, Texts] = {
    "films, English": Texts("movielens-small-text", lambda folder: pq.read_table(folder / "movies.parquet").column("overview")),
    "reviews, Chinese": Texts("zh-online-shopping-reviews", lambda folder: pq.read_table(folder / "reviews.parquet").column("review")),
}


def main(options: Options) -> None:
    """Measure every set that is here and publish the table."""
    # The dictionary of Chinese words is the process's, not the index's.
    segment_chinese(["词"])
    rows = []
    for name, texts in SETS.items():
        place = data_folder(texts.folder)
        if place is not None:
            found = pc.drop_null(pc.unique(texts.read(place)))
            rows.append(measured(name, found[:QUICK_TEXTS] if options.quick else found))
    publish("lexical", rows, options=options)


def measured(name: str, texts: pa.Array) -> Row:
    """One set's row."""
    ids = pa.array([f"i{place:07}" for place in range(len(texts))])
    nothing = pa.nulls(len(texts), pa.string())
    tags = pa.array([[] for _ in ids], pa.list_(pa.string()))
    items = pa.table({"item_id": ids, "title": texts.cast(pa.string()), "category": nothing, "text": nothing, "tags": tags})
    with costed() as cost:
        index = WordIndex.of(items, item_embeddings=items, weight=1.0)
    with timed() as asking:
        for text in texts[:NUM_QUESTIONS].to_pylist():
            index.say(text[:60])
    scores = index.scores_IV
    return {
        "texts": name,
        "items": len(texts),
        "characters": pc.mean(pc.utf8_length(texts)).as_py(),
        "words": len(index.place_of),
        "seconds": cost.timing.cpu_seconds,
        "seconds for 100,000": cost.timing.cpu_seconds * ALL / len(texts),
        "index MiB for 100,000": sum(part.nbytes for part in (scores.data, scores.indices, scores.indptr)) / 2**20 * ALL / len(texts),
        "grown MiB at peak": cost.grown_bytes / 2**20,
        "ms a question": asking.cpu_seconds * 1000 / min(NUM_QUESTIONS, len(texts)),
    }


if __name__ == "__main__":
    main(parse_options(__doc__))
