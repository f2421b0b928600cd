"""Texts per CPU-second of our encoder beside sentence-transformers with its defaults, on the same model and texts.

One thread, so that figures are per core; the modes take turns and the best turn of each counts, because others may use
the machine. Retrieval: of each text's title among all titles, by the vector of the rest of the text; what a coarser mode
loses there is what it costs. The last rows are a search's: one short text at a time.

python -m benchmarks.encoder [--quick] [--json FILE]
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch
from sentence_transformers import SentenceTransformer

from benchmarks.report import Options, Row, data_folder, parse_options, publish, timed
from ml.config.pipeline import TextConfig
from ml.ids import FloatArray
from ml.text.encoder import load_encoder
from ml.text.weights import find_model
from ml.words.cleaning import clean_texts

Encode = Callable[[Sequence[str]], FloatArray]
THEIRS = "sentence-transformers, defaults"

_NOUNS = ("boot", "jacket", "kettle", "lamp", "novel", "tent", "bicycle", "guitar", "camera", "chair", "knife", "rug")
_TRAITS = ("light", "waterproof", "hand-made", "foldable", "quiet", "vintage", "compact", "durable", "soft", "bright")
_USES = ("long walks in the hills", "a small kitchen", "evenings with friends", "the daily way to work", "rainy weekends", "first steps")
_CHINESE = ("轻便防水，适合周末徒步。", "手工制作，做工精细。", "小户型厨房的好帮手。", "送给朋友的好礼物。")


def main(options: Options) -> None:
    """Measure every mode on every text set and publish the table."""
    torch.set_num_threads(1)
    num_texts, repeats = (192, 2) if options.quick else (1000, 3)
    modes = _modes()
    rows: list[Row] = []
    for name, texts in _text_sets(num_texts, rng=np.random.default_rng(11)).items():
        rows.extend(_compare(name, texts, modes=modes, repeats=repeats))
    rows.extend(_search_rows(modes, num_searches=num_texts // 10))
    notes = ["rate: texts per CPU-second, one thread; cosine: to the vectors of sentence-transformers, of texts within its 256 tokens"]
    publish("encoder", rows, options=options, notes=notes)


def _modes() -> dict[str, Encode]:
    automatic = TextConfig(device="cpu")
    names = dict.fromkeys(("float32", load_encoder(automatic).space.dtype, "int8"))
    return {THEIRS: _theirs(automatic), **{f"ours, {dtype}": _ours(dtype) for dtype in names}}


def _theirs(config: TextConfig) -> Encode:
    model = SentenceTransformer(find_model(config.model, revision=config.revision).location, device="cpu")
    model.max_seq_length = config.max_tokens
    return lambda texts: np.asarray(model.encode(list(texts), show_progress_bar=False, normalize_embeddings=True))


def _ours(dtype: str) -> Encode:
    encoder = load_encoder(TextConfig.model_validate({"device": "cpu", "dtype": dtype, "max_windows": 1}))
    return lambda texts: encoder.encode(texts).vectors_ND


def _compare(name: str, texts: Sequence[str], *, modes: dict[str, Encode], repeats: int) -> list[Row]:
    seconds: dict[str, list[float]] = {mode: [] for mode in modes}
    vectors: dict[str, FloatArray] = {}
    for encode in modes.values():
        encode(texts[:64])
    # Modes take turns, so that a busy minute of the machine hits all of them.
    for _ in range(repeats):
        for mode, encode in modes.items():
            with timed() as timing:
                vectors[mode] = encode(texts)
            seconds[mode].append(timing.cpu_seconds)
    best = {mode: min(found) for mode, found in seconds.items()}
    cosines = {mode: (vectors[mode] * vectors[THEIRS]).sum(axis=1) for mode in modes}
    found = {mode: _found_titles(texts, encode=encode) for mode, encode in modes.items()}
    return [
        {
            "texts": name,
            "number": len(texts),
            "mode": mode,
            "rate": len(texts) / best[mode],
            "times theirs": best[THEIRS] / best[mode],
            "cosine, mean": float(cosines[mode].mean()),
            "cosine, worst": float(cosines[mode].min()),
            "title found, R@10": found[mode],
        }
        for mode in modes
    ]


def _found_titles(texts: Sequence[str], *, encode: Encode) -> float | None:
    """Share of texts whose first line is among the ten first lines nearest to the rest; None for texts of one line."""
    parted = [text.split("\n", 1) for text in texts if "\n" in text]
    if not parted:
        return None
    titles_ND, rests_ND = (encode([pair[place] for pair in parted]) for place in (0, 1))
    scores_NN = rests_ND @ titles_ND.T
    return float(((scores_NN > np.diag(scores_NN)[:, None]).sum(axis=1) < 10).mean())


def _search_rows(modes: dict[str, Encode], *, num_searches: int) -> list[Row]:
    searches = [f"{trait} {noun} for {use}" for trait in _TRAITS for noun in _NOUNS for use in _USES][:num_searches]
    rates = {}
    for mode, encode in modes.items():
        with timed() as timing:
            for search in searches:
                encode([search])
        rates[mode] = len(searches) / timing.cpu_seconds
    return [
        {"texts": "searches, one at a time", "number": len(searches), "mode": mode, "rate": rate, "times theirs": rate / rates[THEIRS]}
        for mode, rate in rates.items()
    ]


def _text_sets(num_texts: int, *, rng: np.random.Generator) -> dict[str, list[str]]:
    sets = {"shop items, 1 to 12 sentences": [_item(rng, num_sentences=min(int(rng.geometric(0.25)), 12)) for _ in range(num_texts)]}
    for name, read in _REAL.items():
        folder = data_folder(name)
        if folder is not None:
            texts = [text for text in read(folder).to_pylist() if text]
            sets[name] = [texts[place] for place in rng.choice(len(texts), size=min(num_texts, len(texts)), replace=False)]
    # Cleaned beforehand, so that both read the same.
    return {name: clean_texts(pa.array(texts)).to_pylist() for name, texts in sets.items()}


def _titled(table: pa.Table, title: str, text: str) -> pa.Array:
    """A line of title, then the text; nothing where there is no text."""
    return pc.fill_null(pc.binary_join_element_wise(table[title].cast(pa.string()), table[text].cast(pa.string()), "\n"), "")


def _item(rng: np.random.Generator, *, num_sentences: int) -> str:
    title = f"{rng.choice(_TRAITS)} {rng.choice(_NOUNS)} No. {rng.integers(10_000)}"
    if rng.random() < 0.25:
        return title + "\n" + "".join(rng.choice(_CHINESE, size=num_sentences))
    return (
        title
        + "\n"
        + " ".join(f"This {rng.choice(_NOUNS)} is {rng.choice(_TRAITS)} and made for {rng.choice(_USES)}." for _ in range(num_sentences))
    )


_REAL: dict[str, Callable[[Path], pa.Array]] = {
    "movielens-small-text": lambda folder: _titled(pq.read_table(folder / "movies.parquet"), "title", "overview"),
    "zh-douban-movies-1000": lambda folder: _titled(pq.read_table(folder / "movies.parquet"), "title", "summary"),
    "amazon-musical-instruments-reviews": lambda folder: _titled(pq.read_table(folder / "reviews.parquet"), "summary", "reviewText"),
}


if __name__ == "__main__":
    main(parse_options(__doc__))
