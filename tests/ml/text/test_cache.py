"""The cache: pays once per text and space, survives kills, torn files and company."""

import hashlib
import multiprocessing
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from ml.errors import EmbeddingSpaceError
from ml.text import cache as cache_module
from ml.text.cache import EmbeddingCache, embed, embed_readable, hash_texts

TEXTS = ["trail boots", "salt", "", "徒步靴", "salt"]


def shards(cache: EmbeddingCache) -> list[Path]:
    return sorted(cache.folder.glob("*.parquet"))


def test_second_run_encodes_nothing_and_gives_the_same_bytes(tmp_path, hash_encoder) -> None:
    encoder = hash_encoder()
    first = embed(TEXTS, encoder=encoder, cache=EmbeddingCache(tmp_path, space=encoder.space))
    again = embed(TEXTS, encoder=encoder, cache=EmbeddingCache(tmp_path, space=encoder.space))
    assert (first.num_encoded, first.num_reused) == (4, 0)
    assert (again.num_encoded, again.num_reused) == (0, 4)
    assert_array_equal(first.vectors_ND, again.vectors_ND)
    assert_array_equal(first.vectors_ND, hash_encoder().encode(TEXTS).vectors_ND)
    assert again.seconds > 0


def test_one_changed_text_encodes_one(tmp_path, hash_encoder) -> None:
    encoder = hash_encoder()
    cache = EmbeddingCache(tmp_path, space=encoder.space)
    embed(TEXTS, encoder=encoder, cache=cache)
    encoder.seen.clear()
    result = embed(["trail boots, now red", *TEXTS[1:]], encoder=encoder, cache=cache)
    assert (result.num_encoded, result.num_reused, encoder.seen) == (1, 3, ["trail boots, now red"])


def test_real_model_second_run_encodes_nothing(tmp_path, minilm) -> None:
    first = embed(TEXTS, encoder=minilm, cache=EmbeddingCache(tmp_path, space=minilm.space))
    again = embed(TEXTS, encoder=minilm, cache=EmbeddingCache(tmp_path, space=minilm.space))
    assert (first.num_encoded, again.num_encoded) == (4, 0)
    assert_array_equal(first.vectors_ND, again.vectors_ND)


def test_two_spaces_share_a_folder_and_never_a_vector(tmp_path, hash_encoder) -> None:
    left, right = hash_encoder(model="left"), hash_encoder(model="right", dimension=5)
    embed(TEXTS, encoder=left, cache=EmbeddingCache(tmp_path, space=left.space))
    result = embed(TEXTS, encoder=right, cache=EmbeddingCache(tmp_path, space=right.space))
    assert result.num_encoded == 4
    assert result.vectors_ND.shape == (5, 5)
    with pytest.raises(EmbeddingSpaceError):
        embed(TEXTS, encoder=left, cache=EmbeddingCache(tmp_path, space=right.space))


def test_hashes_are_sha256_of_the_text_in_order(tmp_path, hash_encoder) -> None:
    encoder = hash_encoder()
    result = embed(TEXTS, encoder=encoder, cache=EmbeddingCache(tmp_path, space=encoder.space))
    assert result.text_hashes.to_pylist() == [hashlib.sha256(text.encode()).hexdigest() for text in TEXTS]


def test_no_text_costs_nothing_and_writes_nothing(tmp_path, hash_encoder) -> None:
    encoder = hash_encoder()
    cache = EmbeddingCache(tmp_path, space=encoder.space)
    result = embed([], encoder=encoder, cache=cache)
    assert (result.vectors_ND.shape, result.num_encoded, shards(cache)) == ((0, 8), 0, [])


def test_progress_counts_reused_texts_first_and_ends_at_all(tmp_path, hash_encoder, monkeypatch) -> None:
    monkeypatch.setattr(cache_module, "_CHUNK", 2)
    encoder = hash_encoder()
    cache = EmbeddingCache(tmp_path, space=encoder.space)
    embed(["a", "b", "c"], encoder=encoder, cache=cache)
    calls: list[tuple[int, int]] = []
    embed(["a", "b", "c", "d", "e", "f"], encoder=encoder, cache=cache, progress=lambda done, total: calls.append((done, total)))
    assert calls == [(3, 6), (5, 6), (6, 6)]


@pytest.mark.parametrize("damage", ["cut", "empty", "noise", "other dimension", "not unit", "no column"])
def test_a_broken_shard_is_set_aside_and_its_texts_encoded_again(tmp_path, hash_encoder, monkeypatch, damage, caplog) -> None:
    monkeypatch.setattr(cache_module, "_CHUNK", 2)
    encoder = hash_encoder()
    expected = embed(TEXTS, encoder=encoder, cache=EmbeddingCache(tmp_path, space=encoder.space)).vectors_ND
    cache = EmbeddingCache(tmp_path, space=encoder.space)
    broken = shards(cache)[0]
    table = pq.read_table(broken)
    damaged = {
        "other dimension": table.set_column(1, "vector", pa.array([[1.0, 0.0]] * table.num_rows, pa.list_(pa.float32()))),
        "not unit": table.set_column(1, "vector", pa.array([[9.0] * 8] * table.num_rows, pa.list_(pa.float32()))),
        "no column": table.drop_columns(["text_hash"]),
    }
    if damage in damaged:
        pq.write_table(damaged[damage], broken)
    else:
        content = broken.read_bytes()
        broken.write_bytes({"cut": content[: len(content) // 2], "empty": b"", "noise": b"\x00" * len(content)}[damage])
    result = embed(TEXTS, encoder=encoder, cache=cache)
    assert (result.num_encoded, result.num_reused) == (2, 2)
    assert_array_equal(result.vectors_ND, expected)
    assert broken.with_suffix(".torn").exists()
    assert "set aside" in caplog.text
    assert embed(TEXTS, encoder=encoder, cache=EmbeddingCache(tmp_path, space=encoder.space)).num_encoded == 0


KILLED_PROGRAM = """
import sys, os, signal
from pathlib import Path
import numpy as np
from ml.text import cache as cache_module
from ml.text.cache import EmbeddingCache, embed
from ml.text.encoder import Encoded
from ml.text.space import EmbeddingSpace

class Dying:
    space = EmbeddingSpace(model="hash", revision="1", pooling="mean", normalised=True, dimension=8, max_tokens=16, dtype="float32")
    dimension = 8
    chunks = 0
    def encode(self, texts, *, kind="document", progress=None):
        self.chunks += 1
        if self.chunks == 4:
            os.kill(os.getpid(), signal.SIGKILL)
        zeros = np.zeros(len(texts), dtype=np.int64)
        return Encoded(np.tile(np.eye(1, 8, dtype=np.float32), (len(texts), 1)), zeros, zeros)

cache_module._CHUNK = 10
encoder = Dying()
embed([f"text {n}" for n in range(100)], encoder=encoder, cache=EmbeddingCache(Path(sys.argv[1]), space=encoder.space))
"""


def test_kill_9_loses_at_most_one_chunk(tmp_path, hash_encoder, repository) -> None:
    killed = subprocess.run([sys.executable, "-c", KILLED_PROGRAM, str(tmp_path)], cwd=repository, check=False)
    assert killed.returncode == -signal.SIGKILL
    encoder = hash_encoder()
    result = embed([f"text {number}" for number in range(100)], encoder=encoder, cache=EmbeddingCache(tmp_path, space=encoder.space))
    assert (result.num_reused, result.num_encoded) == (30, 70)


def _write_many(directory: Path, encoder_class: type, first: int) -> None:
    cache_module._CHUNK = 5
    encoder = encoder_class()
    for start in range(first, first + 60, 20):
        embed(
            [f"text {number}" for number in range(start, start + 40)], encoder=encoder, cache=EmbeddingCache(directory, space=encoder.space)
        )


def test_two_processes_write_at_once_and_nothing_is_lost(tmp_path, hash_encoder) -> None:
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_write_many, args=(tmp_path, hash_encoder, first)) for first in (0, 0, 30)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(timeout=60)
    assert [writer.exitcode for writer in writers] == [0, 0, 0]
    encoder = hash_encoder()
    texts = [f"text {number}" for number in range(110)]
    result = embed(texts, encoder=encoder, cache=EmbeddingCache(tmp_path, space=encoder.space))
    assert result.num_encoded == 0
    assert_array_equal(result.vectors_ND, hash_encoder().encode(texts).vectors_ND)


def test_an_open_cache_sees_what_another_wrote_meanwhile(tmp_path, hash_encoder) -> None:
    encoder = hash_encoder()
    mine, yours = (EmbeddingCache(tmp_path, space=encoder.space) for _ in range(2))
    embed(["a"], encoder=encoder, cache=mine)
    embed(["b"], encoder=encoder, cache=yours)
    assert mine.find(hash_texts(["a", "b", "c"]))[1].tolist() == [True, True, False]


@settings(deadline=None, max_examples=40)
@given(runs=st.lists(st.lists(st.sampled_from("abcdefgh"), max_size=12), max_size=5), chunk=st.integers(1, 4))
def test_any_sequence_of_runs_gives_what_encoding_afresh_gives(tmp_path_factory, hash_encoder, runs, chunk) -> None:
    directory = tmp_path_factory.mktemp("cache")
    encoder = hash_encoder()
    known: set[str] = set()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cache_module, "_CHUNK", chunk)
        for texts in runs:
            result = embed(texts, encoder=encoder, cache=EmbeddingCache(directory, space=encoder.space))
            assert result.num_encoded == len(set(texts) - known)
            known |= set(texts)
            if texts:
                assert_array_equal(result.vectors_ND, hash_encoder().encode(texts).vectors_ND)


def test_texts_that_cannot_be_read_have_no_vector(hash_encoder, tmp_path) -> None:
    encoder = hash_encoder()
    cache = EmbeddingCache(tmp_path, space=encoder.space)
    texts = ["hat", "??", "boat"]
    plain, readable = embed(texts, encoder=encoder, cache=cache), embed_readable(texts, encoder=encoder, cache=cache)
    assert np.array_equal(readable.vectors_ND[[0, 2]], plain.vectors_ND[[0, 2]])
    assert not readable.vectors_ND[1].any()
    assert embed_readable([], encoder=encoder, cache=cache).vectors_ND.shape == (0, encoder.dimension)
