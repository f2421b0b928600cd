"""Does fine-tuning find texts better? Recall@10 of descriptions by titles that no training has seen, before and after.

The encoder is fine-tuned on the other items' titles, descriptions, categories and tags alone; held-out titles look
for their description among all items'. BM25 on words (characters where the text is Chinese) stands beside. Settings were chosen by
the validation items, which are neither trained on nor shown here.

python -m benchmarks.finetuning [--quick] [--json FILE]
"""

import gzip
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
from sklearn.feature_extraction.text import CountVectorizer

from benchmarks.report import Options, Row, data_folder, parse_options, publish, timed
from ml.config.pipeline import EvaluationConfig, FinetuningConfig, TextConfig
from ml.contracts.behaviour import INTERACTIONS, ITEMS, USER_TEXTS
from ml.finetuning.finetune import Finetuned, K, finetune, held_out_tasks
from ml.finetuning.pairs import TEST, Sources, find_pairs, parts
from ml.finetuning.retrieval import RetrievalTask, answer_ranks, recall

SETTINGS = {"pair_kinds": ("title_text", "title_tags", "sentence_text")}


def main(options: Options) -> None:
    """Fine-tune on every catalogue that is here, and publish the table."""
    rows: list[Row] = []
    for name, read in CATALOGUES.items():
        folder = data_folder(name)
        if folder is not None:
            rows += measure(name, read(folder), config=FinetuningConfig.model_validate(SETTINGS | ({"epochs": 1} if options.quick else {})))
    notes = [
        f"Recall@{K}; interval: of the mean change over kinds; unread: characters that the tokenizer cannot tell apart",
        "new documents: held-out pairs whose document is, word by word, of no training pair either",
    ]
    publish("finetuning", rows, options=options, notes=notes)


def measure(name: str, items: pa.Table, *, config: FinetuningConfig) -> list[Row]:
    """A row per kind of pair."""
    sources = Sources(ITEMS.conform(items), INTERACTIONS.empty(), USER_TEXTS.empty())
    with tempfile.TemporaryDirectory() as folder, timed() as timing:
        found = finetune(
            sources, text=TextConfig(), config=config, evaluation=EvaluationConfig(), folder=Path(folder) / "model", progress=_say(name)
        )
    if not isinstance(found, Finetuned):
        return [{"data": name, "kind": found.reason}]
    print([(epoch.loss, epoch.validation) for epoch in found.history], flush=True)
    words = bm25_recall(sources, config=config)
    return [
        {
            "data": name,
            "kind": figures.kind,
            "trained on": figures.num_training_pairs,
            "held out": figures.num_held_out,
            "among": figures.num_documents,
            "BM25": words[figures.kind],
            "before": figures.recall_before,
            "after": figures.recall_after,
            "new documents": figures.num_new_documents,
            "before, new": figures.recall_before_new,
            "after, new": figures.recall_after_new,
            "change": f"{found.gain:+.3f} ({found.gain_low:+.3f} to {found.gain_high:+.3f})",
            "epochs": len(found.history),
            "new tokens": found.num_new_tokens,
            "unread before": found.unread_before,
            "unread after": found.unread_after,
            "CPU-s": timing.cpu_seconds,
        }
        for figures in found.figures
    ]


def bm25_recall(sources: Sources, *, config: FinetuningConfig) -> dict[str, float]:
    """Recall@10 of the same held-out pairs by words alone (Robertson & Zaragoza, 2009; k1 1.2, b 0.75)."""
    pairs = find_pairs(sources, config=config, as_of=datetime(2100, 1, 1, tzinfo=UTC))
    tasks = held_out_tasks(pairs, part_N=parts(pairs, items=sources.items, held_out_share=config.held_out_share), part=TEST, config=config)
    return {kind: float(recall(_bm25_ranks(task), k=K).mean()) for kind, task in tasks.items()}


def _bm25_ranks(task: RetrievalTask) -> np.ndarray:
    counter = CountVectorizer(token_pattern=r"[\u3400-\u9fff]|[^\W\u3400-\u9fff]+")  # noqa: S106
    counts_MW = counter.fit_transform(task.documents).astype(np.float64).tocsr()
    lengths_M = np.asarray(counts_MW.sum(axis=1)).ravel()
    document_frequency_W = np.bincount(counts_MW.indices, minlength=counts_MW.shape[1])
    inverse_W = np.log1p((len(task.documents) - document_frequency_W + 0.5) / (document_frequency_W + 0.5))
    norm_M = 1.2 * (0.25 + 0.75 * lengths_M / lengths_M.mean())
    weights_MW = counts_MW.copy()
    row = np.repeat(np.arange(len(task.documents)), np.diff(counts_MW.indptr))
    weights_MW.data = counts_MW.data * 2.2 / (counts_MW.data + norm_M[row]) * inverse_W[counts_MW.indices]
    scores_NM = (counter.transform(task.anchors) > 0).astype(np.float64) @ weights_MW.T
    anchors_ND, documents_MD = scores_NM.toarray().astype(np.float32), np.eye(len(task.documents), dtype=np.float32)
    codes_N = np.unique(np.array(task.anchors), return_inverse=True)[1]
    return answer_ranks(anchors_ND, documents_MD, answer_N=task.answer_N, group_N=codes_N)


def _say(name: str) -> Callable[[int, int], None]:
    return lambda done, total: print(f"{name}: pass {done} of at most {total}", flush=True)


def _catalogue(**columns: pa.Array | pa.ChunkedArray) -> pa.Table:
    """A table of items with what is not given empty."""
    size = len(columns["item_id"])
    blank = {
        "day": pa.repeat(pa.scalar(0, pa.int32()).cast(pa.date32()), size),
        "tags": pa.array([[]] * size, pa.list_(pa.string())),
        "is_catalogued": pa.repeat(True, size),
    }
    table = blank | columns
    return pa.table([table.get(column.name, pa.nulls(size, column.dtype)) for column in ITEMS.columns], schema=ITEMS.schema)


def _scientific(folder: Path) -> pa.Table:
    """A line is title, categories and brand, each ended by a full stop; the categories begin with the department."""
    with gzip.open(folder / "Scientific.text.gz", "rt", encoding="utf-8") as handle:
        rows = [line.rstrip("\n").split("\t", 1) for line in handle][1:]
    parted = [(item_id, *text.partition(" Industrial & Scientific ")) for item_id, text in rows]
    return _catalogue(
        item_id=pa.array([item_id for item_id, *_ in parted]),
        title=pa.array([title for _, title, _, _ in parted]),
        text=pa.array([(between + rest).strip() or None for _, _, between, rest in parted]),
    )


def _movielens(folder: Path) -> pa.Table:
    table = pq.read_table(folder / "movies.parquet")
    return _catalogue(
        item_id=table.column("movieId").cast(pa.string()),
        title=table.column("title"),
        text=table.column("overview"),
        tags=pc.split_pattern(table.column("genres"), "|"),
    )


def _douban(folder: Path) -> pa.Table:
    table = pq.read_table(folder / "movies.parquet")
    said = [table.column(name) for name in ("type", "directors", "actors", "countries")]
    return _catalogue(
        item_id=table.column("movie").cast(pa.string()),
        title=table.column("title"),
        text=table.column("summary"),
        tags=pc.split_pattern(pc.binary_join_element_wise(*said, ",", null_handling="skip"), ","),
    )


CATALOGUES: dict[str, Callable[[Path], pa.Table]] = {
    "amazon-scientific-text": _scientific,
    "movielens-small-text": _movielens,
    "zh-douban-movies-1000": _douban,
}


if __name__ == "__main__":
    main(parse_options(__doc__))
