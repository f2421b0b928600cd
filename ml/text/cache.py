"""Vectors by content hash on disk, so that only new text costs anything.

One folder per embedding space, in it append-only Parquet shards, each whole or
absent: a killed process loses at most the chunk it was on, two processes may
write at once, and a file that cannot be read is set aside, not fatal.
"""

import hashlib
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ml.contracts.files import write_parquet, write_text
from ml.contracts.spaces import require_same_space
from ml.contracts.vectors import matrix_to_vectors, vectors_to_matrix
from ml.ids import BoolArray, FloatArray, IntArray
from ml.text.encoder import Encoded, Encoder, Kind, Progress, shifted
from ml.text.space import EmbeddingSpace

_LOG = logging.getLogger(__name__)

# Distinct texts per shard: what a kill can cost, and enough for sorting by length to pay.
_CHUNK = 2048

# What reading a file of unknown content can raise.
_UNREADABLE = (OSError, pa.ArrowException, KeyError, ValueError)


@dataclass(frozen=True)
class EmbeddingResult:
    """Vectors of N texts and what they cost.

    Counts are of distinct texts; `num_tokens`, read now, of those encoded; `num_cut_texts` of all, also those reused, are
    longer than was read. `seconds` is wall time.
    """

    vectors_ND: FloatArray
    text_hashes: pa.Array
    num_encoded: int
    num_reused: int
    num_tokens: int
    num_cut_texts: int
    seconds: float

    @property
    def cut_share(self) -> float:
        """Share of the distinct texts of which a part was not read, in [0, 1]."""
        return self.num_cut_texts / max(self.num_encoded + self.num_reused, 1)


class EmbeddingCache:
    """The cached vectors of one space, in `directory/<space_id>`."""

    def __init__(self, directory: Path, *, space: EmbeddingSpace) -> None:
        self.space = space
        self.folder = directory / space.space_id
        self._keys: dict[Path, pa.Array] = {}

    def find(self, hashes: pa.Array) -> tuple[Encoded, BoolArray]:
        """What is known of hashes (other rows are not set), and a mask of the known, shape [len(hashes)]."""
        size = len(hashes)
        kept = Encoded(np.empty((size, self.space.dimension), np.float32), np.zeros(size, np.int64), np.zeros(size, np.int64))
        is_known = np.zeros(len(hashes), dtype=np.bool_)
        shards = self._shards()
        if not shards or not len(hashes):
            return kept, is_known
        keys = pa.concat_arrays([self._keys[shard] for shard in shards])
        found: IntArray = np.asarray(pc.fill_null(pc.index_in(hashes, value_set=keys), -1), dtype=np.int64)
        ends = np.cumsum([len(self._keys[shard]) for shard in shards])
        shard_of = np.where(found >= 0, np.searchsorted(ends, found, side="right"), -1)
        for number in np.unique(shard_of[shard_of >= 0]):
            rows = np.flatnonzero(shard_of == number)
            shard = self._read(shards[number])
            if shard is not None:
                place = found[rows] - (ends[number] - len(shard.vectors_ND))
                _set_rows(kept, rows, shard, place)
                is_known[rows] = True
        return kept, is_known

    def add(self, hashes: pa.Array, encoded: Encoded) -> Path:
        """Write one shard; its name is the hash of its keys, so the same chunk written twice is one file."""
        name = hashlib.sha256("".join(hashes.to_pylist()).encode()).hexdigest()[:32]
        description = self.folder / "space.json"
        if not description.exists():
            write_text(self.space.to_json(), description)
        vectors = matrix_to_vectors(encoded.vectors_ND)
        table = pa.table({"text_hash": hashes, "vector": vectors, "num_tokens": encoded.num_tokens_N, "num_cut": encoded.num_cut_N})
        return write_parquet(table, self.folder / f"{name}.parquet")

    def _shards(self) -> list[Path]:
        """Readable shards by name, their keys loaded; new ones of other processes are seen each time."""
        paths = sorted(self.folder.glob("[0-9a-f]*.parquet"))
        for path in paths:
            if path not in self._keys:
                self._load_keys(path)
        return [path for path in paths if path in self._keys]

    def _load_keys(self, path: Path) -> None:
        try:
            self._keys[path] = _read_keys(path)
        except _UNREADABLE as error:
            self._set_aside(path, str(error))

    def _read(self, path: Path) -> Encoded | None:
        """A shard's content, or None after setting it aside because its vectors are not unit vectors of this space."""
        try:
            return _read_shard(path, shape=(len(self._keys[path]), self.space.dimension))
        except _UNREADABLE as error:
            self._set_aside(path, str(error))
            return None

    def _set_aside(self, path: Path, reason: str) -> None:
        self._keys.pop(path, None)
        try:
            path.replace(path.with_suffix(".torn"))
        except FileNotFoundError:
            _LOG.info("embedding shard %s was already set aside by another process", path)
        _LOG.warning("embedding shard %s set aside, its texts will be encoded again: %s", path, reason)


def _read_keys(path: Path) -> pa.Array:
    column = pq.read_table(path, columns=["text_hash"], partitioning=None).column("text_hash")
    return column.cast(pa.string()).combine_chunks()


def _read_shard(path: Path, *, shape: tuple[int, int]) -> Encoded:
    table = pq.read_table(path, columns=["vector", "num_tokens", "num_cut"], partitioning=None)
    vectors_ND = vectors_to_matrix(table.column("vector"))
    if vectors_ND.shape != shape:
        raise ValueError(f"it holds vectors of shape {vectors_ND.shape}, expected {shape}")
    if not (np.abs(np.linalg.norm(vectors_ND, axis=1) - 1.0) < 1e-3).all():
        raise ValueError("it holds vectors that are not of unit length")
    return Encoded(vectors_ND, *(np.asarray(table.column(name), dtype=np.int64) for name in ("num_tokens", "num_cut")))


def _set_rows(target: Encoded, rows: IntArray, source: Encoded, places: IntArray | slice) -> None:
    target.vectors_ND[rows] = source.vectors_ND[places]
    target.num_tokens_N[rows] = source.num_tokens_N[places]
    target.num_cut_N[rows] = source.num_cut_N[places]


def hash_texts(texts: Sequence[str], *, prompt: str = "") -> pa.Array:
    """sha256 of each text's UTF-8 bytes, after its prompt's, hexadecimal, shape [N]."""
    return pa.array([hashlib.sha256((prompt + text).encode()).hexdigest() for text in texts], pa.string())


def embed(
    texts: Sequence[str], *, encoder: Encoder, cache: EmbeddingCache, kind: Kind = "document", progress: Progress | None = None
) -> EmbeddingResult:
    """Vectors in the order of `texts`, from the cache where it has them.

    New texts are encoded and stored chunk by chunk; `progress` counts distinct
    texts, reused ones first. Raises `EmbeddingSpaceError` if the cache is of
    another space than the encoder.
    """
    require_same_space(encoder.space.space_id, cache.space.space_id)
    started = time.perf_counter()
    coded = pa.array(texts, pa.string()).dictionary_encode()
    distinct = coded.dictionary.to_pylist()
    hashes = hash_texts(distinct, prompt=encoder.space.query_prompt if kind == "query" else encoder.space.prompt)
    kept, is_known = cache.find(hashes)
    missing = np.flatnonzero(~is_known)
    if progress is not None:
        progress(len(distinct) - len(missing), len(distinct))
    for start in range(0, len(missing), _CHUNK):
        rows = missing[start : start + _CHUNK]
        before = len(distinct) - len(missing) + start
        told = shifted(progress, before=before, total=len(distinct))
        found = encoder.encode([distinct[row] for row in rows], kind=kind, progress=told)
        cache.add(hashes.take(pa.array(rows)), found)
        _set_rows(kept, rows, found, slice(None))
    return EmbeddingResult(
        vectors_ND=kept.vectors_ND[np.asarray(coded.indices)],
        text_hashes=hashes.take(coded.indices),
        num_encoded=len(missing),
        num_reused=len(distinct) - len(missing),
        num_tokens=int(kept.num_tokens_N[missing].sum()),
        num_cut_texts=int(np.count_nonzero(kept.num_cut_N)),
        seconds=time.perf_counter() - started,
    )


def embed_readable(texts: Sequence[str], *, encoder: Encoder, cache: EmbeddingCache, progress: Progress | None = None) -> EmbeddingResult:
    """As `embed`, with zeros for texts the encoder cannot read: vectors of nothing but unknown tokens are all alike."""
    result = embed(texts, encoder=encoder, cache=cache, progress=progress)
    return replace(result, vectors_ND=result.vectors_ND * encoder.reads(texts)[:, None])
