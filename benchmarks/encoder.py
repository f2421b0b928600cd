"""Sentences per CPU-second of our encoder beside a plain transformers loop, on the same texts.

The plain loop is what sentence-transformers does by default: batches of 32 as the
texts come, padded to the longest of each, float32. One thread, so that figures
are per core; the best of the repeats counts, because others may use the machine.

python -m benchmarks.encoder [--quick] [--json FILE]
"""

from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
import transformers

from benchmarks.report import Options, Row, data_folder, parse_options, publish, timed
from ml.config.pipeline import TextConfig
from ml.ids import FloatArray
from ml.text.encoder import load_encoder
from ml.text.items import item_texts
from ml.text.weights import find_model

Encode = Callable[[Sequence[str]], FloatArray]

_NOUNS = ("boot", "jacket", "kettle", "lamp", "novel", "tent", "bicycle", "guitar", "camera", "chair", "knife", "rug")
_TRAITS = ("light", "waterproof", "hand-made", "foldable", "quiet", "vintage", "compact", "durable", "soft", "bright")
_USES = ("long walks in the hills", "a small kitchen", "evenings with friends", "the daily way to work", "rainy weekends", "first steps")
_CHINESE = ("轻便防水，适合周末徒步。", "手工制作，做工精细。", "小户型厨房的好帮手。", "送给朋友的好礼物。")


def main(options: Options) -> None:
    """Measure every mode on every text set and publish the table."""
    torch.set_num_threads(1)
    num_texts, repeats = (192, 1) if options.quick else (512, 3)
    modes = _modes()
    rows: list[Row] = []
    for name, texts in _text_sets(num_texts, rng=np.random.default_rng(11)).items():
        rows.extend(_compare(name, texts, modes=modes, repeats=repeats))
    publish("encoder", rows, options=options, notes=["rate: texts per CPU-second, one thread; cosine: to the plain loop's vectors"])


def _modes() -> dict[str, Encode]:
    automatic = load_encoder(TextConfig(device="cpu"))
    modes: dict[str, Encode] = {
        "plain transformers loop, float32": _plain_loop(),
        "ours, float32": load_encoder(TextConfig(device="cpu", dtype="float32")).encode,
    }
    if automatic.space.dtype != "float32":
        modes[f"ours, auto ({automatic.space.dtype})"] = automatic.encode
    return modes


def _plain_loop() -> Encode:
    config = TextConfig()
    source = find_model(config.model, revision=config.revision)
    tokenizer = transformers.AutoTokenizer.from_pretrained(source.location)
    model = transformers.AutoModel.from_pretrained(source.location, dtype=torch.float32).eval()

    def encode(texts: Sequence[str]) -> FloatArray:
        batches = []
        with torch.no_grad():
            for start in range(0, len(texts), 32):
                tokens = tokenizer(
                    list(texts[start : start + 32]), padding=True, truncation=True, max_length=config.max_tokens, return_tensors="pt"
                )
                hidden = model(**tokens).last_hidden_state
                mask = tokens["attention_mask"].unsqueeze(-1)
                mean = (hidden * mask).sum(dim=1) / mask.sum(dim=1)
                batches.append(torch.nn.functional.normalize(mean, dim=1).numpy())
        return np.concatenate(batches)

    return encode


def _compare(name: str, texts: Sequence[str], *, modes: dict[str, Encode], repeats: int) -> list[Row]:
    seconds: dict[str, list[float]] = {mode: [] for mode in modes}
    vectors: dict[str, FloatArray] = {}
    for encode in modes.values():
        encode(texts[:32])
    # Modes take turns, so that a busy minute of the machine hits all of them.
    for _ in range(repeats):
        for mode, encode in modes.items():
            with timed() as timing:
                vectors[mode] = encode(texts)
            seconds[mode].append(timing.cpu_seconds)
    best = {mode: min(found) for mode, found in seconds.items()}
    base = next(iter(modes))
    cosines = {mode: (vectors[mode] * vectors[base]).sum(axis=1) for mode in modes}
    return [
        {
            "texts": name,
            "number": len(texts),
            "mode": mode,
            "rate": len(texts) / best[mode],
            "times plain": best[base] / best[mode],
            "cosine, mean": float(cosines[mode].mean()),
            "cosine, worst": float(cosines[mode].min()),
        }
        for mode in modes
    ]


def _text_sets(num_texts: int, *, rng: np.random.Generator) -> dict[str, list[str]]:
    sets = {
        "shop items, 1 to 12 sentences": [_item(rng, num_sentences=min(int(rng.geometric(0.25)), 12)) for _ in range(num_texts)],
        "search phrases": [f"{rng.choice(_TRAITS)} {rng.choice(_NOUNS)} {number}" for number in range(num_texts)],
    }
    folder = data_folder("movielens-small-text")
    if folder is not None:
        movies = pq.read_table(folder / "movies.parquet", columns=["title", "overview", "genres"])
        movies = movies.take(pa.array(rng.choice(movies.num_rows, size=num_texts, replace=False)))
        sets["movielens titles and overviews"] = item_texts(_as_items(movies)).to_pylist()
    return sets


def _item(rng: np.random.Generator, *, num_sentences: int) -> str:
    title = f"{rng.choice(_TRAITS)} {rng.choice(_NOUNS)} No. {rng.integers(10_000)}"
    if rng.random() < 0.25:
        return title + "\n" + "".join(rng.choice(_CHINESE, size=num_sentences))
    return (
        title
        + "\n"
        + " ".join(f"This {rng.choice(_NOUNS)} is {rng.choice(_TRAITS)} and made for {rng.choice(_USES)}." for _ in range(num_sentences))
    )


def _as_items(movies: pa.Table) -> pa.Table:
    no_tags = pa.array([[]] * movies.num_rows, pa.list_(pa.string()))
    return pa.table({"title": movies["title"], "text": movies["overview"], "category": movies["genres"], "tags": no_tags})


if __name__ == "__main__":
    main(parse_options(__doc__))
