"""A day's fine-tuning: pairs known before every test, new tokens, training, and whether held-out pairs are found better.

How pairs come about is `ml.finetuning.pairs`, a step `ml.finetuning.trainer`. Keeping what
comes out is `ml.finetuning.encoders`. Shapes: N pairs.
"""

import hashlib
import shutil
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import torch

from ml.config.pipeline import EvaluationConfig, FinetuningConfig, TextConfig
from ml.epochs.checkpoints import Checkpoints
from ml.epochs.course import Epoch, run_epochs
from ml.errors import EvaluationError
from ml.evaluation.intervals import bootstrap_means, percentile_interval
from ml.evaluation.split import global_time_split
from ml.finetuning.choice import KindFigures
from ml.finetuning.pairs import TEST, TRAIN, VALIDATION, Sources, find_pairs, parts
from ml.finetuning.retrieval import Encode, RetrievalTask, mean_reciprocal_rank, recall, retrieval_task
from ml.finetuning.trainer import PairTrainer, TrainingPairs
from ml.ids import FloatArray, IntArray
from ml.text.encoder import Encoder, Kind, TransformerEncoder, encoder_of, load_encoder
from ml.text.hardware import Hardware, resolve_hardware
from ml.text.vocabulary import extend, new_tokens, unread
from ml.text.weights import LoadedModel, ModelSource, find_model, load_model, save_model
from ml.text.windows import split
from ml.words.cleaning import clean_texts

Progress = Callable[[int, int], None]
K = 10
_BEFORE_ALL = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Finetuned:
    """What the tokenizer could not read, how training went, what it gained, and the `revision` that stands for the new model.

    `gain` is the mean over kinds of the change of Recall@10, between `gain_low` and `gain_high`; `kinds_lost` are those whose
    own interval lies below 0.
    """

    revision: str
    num_new_tokens: int
    unread_before: float
    unread_after: float
    history: tuple[Epoch, ...]
    figures: tuple[KindFigures, ...]
    gain: float
    gain_low: float
    gain_high: float
    kinds_lost: tuple[str, ...]

    @property
    def is_better(self) -> bool:
        """Whether held-out pairs are found better, and no kind of them worse, beyond the luck of which were held out."""
        return self.gain_low > 0 and not self.kinds_lost


@dataclass(frozen=True)
class NotFinetuned:
    """Why the encoder stays as it is: the state of every young shop, not a failure."""

    reason: str


def finetune(
    sources: Sources,
    *,
    text: TextConfig,
    config: FinetuningConfig,
    evaluation: EvaluationConfig,
    folder: Path,
    checkpoints: Path | None = None,
    progress: Progress | None = None,
) -> Finetuned | NotFinetuned:
    """Fine-tune the encoder of `text` on pairs known before the models' validation slice, and write it to `folder`.

    What users did later would tell the encoder answers of every test from this day on. Without a history that can
    be cut, only pairs without users are used. With `checkpoints` (a folder), training that was killed goes on to the
    same bits. On one CPU and thread count, the same sources give the same bits.
    """
    pairs = find_pairs(sources, config=config, as_of=_cut(sources.interactions, config=evaluation))
    part_N = parts(pairs, items=sources.items, held_out_share=config.held_out_share)
    training = pairs.filter(pa.array(part_N == TRAIN))
    if training.num_rows < config.min_pairs:
        return NotFinetuned(f"{training.num_rows} pairs to train on, finetuning.min_pairs asks for {config.min_pairs}")
    tests = held_out_tasks(pairs, part_N=part_N, part=TEST, config=config)
    if not tests:
        return NotFinetuned(f"no kind of pair has {config.min_held_out_pairs} held out (finetuning.min_held_out_pairs)")
    loaded = load_for_training(text)
    num_known = len(loaded.tokenizer)
    before, num_new, after = _teach_words(loaded, training, config=config)
    validations = held_out_tasks(pairs, part_N=part_N, part=VALIDATION, config=config, only_held_out=True)
    history = train(
        loaded,
        training,
        validations=validations,
        text=text,
        config=config,
        num_known_tokens=num_known if num_new else None,
        checkpoints=checkpoints,
        progress=progress,
    )
    # What a killed run left there must not become part of the model.
    shutil.rmtree(folder, ignore_errors=True)
    save_model(loaded, folder)
    base, tuned = load_encoder(text), load_encoder(text.model_copy(update={"model": str(folder), "revision": ""}))
    ranks = {kind: (task.ranks(_encode(base)), task.ranks(_encode(tuned))) for kind, task in tests.items()}
    found = {kind: changes(ranks[kind], task=task) for kind, task in tests.items()}
    gain, low, high = gain_interval(found, config=evaluation)
    lost = tuple(kind for kind in found if gain_interval({kind: found[kind]}, config=evaluation)[2] < 0)
    figures = tuple(_figures(kind, ranks[kind], task=task, training=training) for kind, task in tests.items())
    return Finetuned(tuned.space.revision, num_new, before, after, history, figures, gain, low, high, lost)


def load_for_training(text: TextConfig) -> LoadedModel:
    """The profile's model in float32, which small steps need."""
    device = resolve_hardware(device=text.device, dtype="float32").device
    return load_model(find_model(text.model, revision=text.revision), dtype=torch.float32, device=device)


def train(
    loaded: LoadedModel,
    pairs: pa.Table,
    *,
    validations: Mapping[str, RetrievalTask],
    text: TextConfig,
    config: FinetuningConfig,
    num_known_tokens: int | None,
    checkpoints: Path | None = None,
    progress: Progress | None = None,
) -> tuple[Epoch, ...]:
    """Train `loaded` in place; stopped by the mean over kinds of the mean reciprocal rank of `validations`, and back to the best epoch."""
    trainer = PairTrainer(
        loaded.network,
        training_pairs(pairs, loaded=loaded, text=text, max_tokens=config.max_tokens),
        config=config,
        pooling=text.pooling,
        padding_id=loaded.tokenizer.pad_token_id or 0,
        in_bfloat16=_hardware(text).dtype == "bfloat16",
        num_known_tokens=num_known_tokens,
        generator=torch.Generator().manual_seed(config.seed),
    )

    def validate() -> float:
        encode = _encode(_as_it_is(loaded, text=text))
        return float(np.mean([mean_reciprocal_rank(task.ranks(encode)) for task in validations.values()]))

    fingerprint = _fingerprint(pairs, text=text, config=config)
    return run_epochs(
        trainer,
        epochs=config.epochs,
        patience=config.patience,
        validate=validate if validations else None,
        checkpoints=Checkpoints(checkpoints, fingerprint=fingerprint) if checkpoints else None,
        progress=progress,
    )


def training_pairs(pairs: pa.Table, *, loaded: LoadedModel, text: TextConfig, max_tokens: int) -> TrainingPairs:
    """Pairs as token ids: cleaned and prompted as the encoder reads them, the first window of each."""
    anchors = _prompted(pairs.column("anchor"), text.query_prompt)
    documents = _prompted(pairs.column("document"), text.prompt)
    distinct = pa.chunked_array([anchors, documents]).combine_chunks().dictionary_encode()
    position = np.asarray(distinct.indices, dtype=np.int64)
    tokens = split(distinct.dictionary.to_pylist(), tokenizer=loaded.tokenizer, max_tokens=min(max_tokens, text.max_tokens), max_windows=1)
    kinds = np.asarray(pairs.column("kind").combine_chunks().dictionary_encode().indices, dtype=np.int64)
    return TrainingPairs(tokens.tokens, position[: len(anchors)], position[len(anchors) :], kinds)


def held_out_tasks(
    pairs: pa.Table, *, part_N: npt.NDArray[np.int8], part: int, config: FinetuningConfig, only_held_out: bool = False
) -> dict[str, RetrievalTask]:
    """What is to be found of each kind that has enough pairs held out: among all documents of the kind, or `only_held_out` ones."""
    rng = np.random.default_rng(config.seed)
    tasks = {}
    for kind in sorted(set(pairs.column("kind").to_pylist())):
        is_kind = np.asarray(pc.equal(pairs.column("kind"), kind))
        held_out = pairs.filter(pa.array(is_kind & (part_N == part)))
        if held_out.num_rows < config.min_held_out_pairs:
            continue
        pool = held_out if only_held_out else pairs.filter(pa.array(is_kind))
        tasks[kind] = retrieval_task(
            held_out, pool=pool.column("document"), max_pairs=config.max_held_out_pairs, max_documents=config.max_documents, rng=rng
        )
    return tasks


def changes(ranks: tuple[IntArray, IntArray], *, task: RetrievalTask) -> npt.NDArray[np.float64]:
    """Change of Recall@10 of each distinct anchor, mean over its documents: what one search finds hangs together."""
    before_N, after_N = (recall(found, k=K) for found in ranks)
    _, anchor_N = np.unique(np.array(task.anchors, dtype=object), return_inverse=True)
    return np.asarray(np.bincount(anchor_N, weights=after_N - before_N) / np.bincount(anchor_N))


def gain_interval(changes_of: Mapping[str, npt.NDArray[np.float64]], *, config: EvaluationConfig) -> tuple[float, float, float]:
    """Mean over kinds of the mean change, and its interval by resampling the anchors of each kind."""
    rng = np.random.default_rng(config.seed)
    kinds = changes_of.values()
    means_RK = np.hstack([bootstrap_means(change_A[:, None], num_bootstrap=config.num_bootstrap, rng=rng) for change_A in kinds])
    (low,), (high,) = percentile_interval(means_RK.mean(axis=1, keepdims=True), confidence=config.confidence)
    return float(np.mean([change_A.mean() for change_A in kinds])), float(low), float(high)


def _cut(interactions: pa.Table, *, config: EvaluationConfig) -> datetime:
    try:
        return global_time_split(interactions, config=config).validation_start
    except EvaluationError:
        return _BEFORE_ALL


def _teach_words(loaded: LoadedModel, pairs: pa.Table, *, config: FinetuningConfig) -> tuple[float, int, float]:
    """New tokens for what training texts lose; shares of their characters lost before and after, and how many tokens between."""
    texts = clean_texts(pc.unique(pa.chunked_array([*pairs.column("anchor").chunks, *pairs.column("document").chunks]))).to_pylist()
    before = unread(texts, tokenizer=loaded.tokenizer, max_tokens=config.max_tokens)
    tokens = new_tokens(before, min_texts=config.min_token_texts, limit=config.max_new_tokens)
    num_new = extend(loaded, tokens, generator=torch.Generator().manual_seed(config.seed))
    after = unread(texts, tokenizer=loaded.tokenizer) if num_new else before
    return before.share, num_new, after.share


def _hardware(text: TextConfig) -> Hardware:
    """What is trained on: 8-bit weights take no gradients, so those of the machine's own number type stand in for them."""
    return resolve_hardware(device=text.device, dtype="auto" if text.dtype == "int8" else text.dtype)


def _as_it_is(loaded: LoadedModel, *, text: TextConfig) -> TransformerEncoder:
    """An encoder of the weights as they are now, in the number type they will be used in."""
    hardware = _hardware(text)
    network = deepcopy(loaded.network).to(hardware.torch_dtype)
    source = ModelSource(name="in training", location="", revision="", is_hub=False)
    return encoder_of(LoadedModel(network, loaded.tokenizer, network.config), source=source, config=text, hardware=hardware)


def _encode(encoder: Encoder) -> Encode:
    def encode(texts: Sequence[str], kind: Kind) -> FloatArray:
        return encoder.encode(texts, kind=kind).vectors_ND

    return encode


def _figures(kind: str, ranks: tuple[IntArray, IntArray], *, task: RetrievalTask, training: pa.Table) -> KindFigures:
    trained_on = training.filter(pc.equal(training.column("kind"), kind)).column("document")
    is_new_N = np.asarray(pc.invert(pc.is_in(pa.array(task.answers), value_set=trained_on.combine_chunks())))
    all_N = np.ones(len(is_new_N), dtype=np.bool_)
    before, after, before_new, after_new = (_recall(found[mask_N]) for mask_N in (all_N, is_new_N) for found in ranks)
    return KindFigures(
        kind, len(trained_on), len(all_N), len(task.documents), before or 0.0, after or 0.0, int(is_new_N.sum()), before_new, after_new
    )


def _recall(ranks_N: IntArray) -> float | None:
    return float(recall(ranks_N, k=K).mean()) if len(ranks_N) else None


def _prompted(texts: pa.ChunkedArray, prompt: str) -> pa.Array:
    return pc.binary_join_element_wise(pa.scalar(prompt), clean_texts(texts), "")


def _fingerprint(pairs: pa.Table, *, text: TextConfig, config: FinetuningConfig) -> str:
    digest = hashlib.sha256(text.model_dump_json().encode() + config.model_dump_json().encode())
    digest.update(f"{torch.__version__} {torch.get_num_threads()} {torch.cuda.is_available()}".encode())
    # A folder may hold another model by now.
    digest.update(find_model(text.model, revision=text.revision).revision.encode())
    for name in ("kind", "anchor", "document"):
        for value in pairs.column(name).to_pylist():
            digest.update(f"{len(value)}:{value}".encode())
    return digest.hexdigest()
