"""Codes quantise vectors the same way for any order, thread count and block."""

import os
import subprocess
import sys

import numpy as np
import pytest

from ml.config.pipeline import InterestConfig
from ml.interests.codebook import NO_CODE, assign, empty_codebook, fit_centroids, grow, num_codes
from ml.interests.exact import lots, nearest, on_grid, squared_distances

CONFIG = InterestConfig(items_per_theme=10)


def blobs(num_items: int, *, num_blobs: int, dimension: int = 16, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors around well separated centres, and which centre each is around."""
    rng = np.random.default_rng(seed)
    centres = np.linalg.qr(rng.normal(size=(dimension, dimension)))[0][:num_blobs]
    blob_I = np.arange(num_items) % num_blobs
    vectors = centres[blob_I] + 0.05 * rng.normal(size=(num_items, dimension))
    return on_grid(vectors / np.linalg.norm(vectors, axis=1, keepdims=True)), blob_I


def test_distances_are_exact_whatever_the_order_of_summation() -> None:
    rng = np.random.default_rng(1)
    vectors = rng.normal(size=(50, 384))
    vectors = on_grid(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
    order = rng.permutation(384)
    direct = np.square(vectors[:, None] - vectors[None, :7]).sum(axis=2)
    assert np.array_equal(squared_distances(vectors, vectors[:7]), squared_distances(vectors[:, order], vectors[:7][:, order]))
    np.testing.assert_allclose(squared_distances(vectors, vectors[:7]), direct, atol=1e-6)


def test_lots_tell_vectors_apart_and_are_even() -> None:
    vectors = on_grid(np.random.default_rng(2).normal(size=(4000, 8)) * 0.3)
    found = lots(vectors)
    assert len(np.unique(found)) == 4000
    assert ((found > 0) & (found < 1)).all()
    np.testing.assert_allclose(np.histogram(found, bins=8, range=(0, 1))[0], 500, atol=100)
    assert np.array_equal(lots(vectors[::-1])[::-1], found)


@pytest.mark.parametrize(
    ("num_items", "levels", "expected"), [(9, 1, 0), (20, 1, 2), (39, 2, 0), (40, 2, 2), (1000, 2, 10), (10**9, 1, 64)]
)
def test_the_rule_for_how_many(num_items: int, levels: int, expected: int) -> None:
    assert num_codes(num_items, levels=levels, config=CONFIG) == expected


def test_blobs_are_found() -> None:
    vectors, blob_I = blobs(300, num_blobs=6)
    place_I, _ = nearest(vectors, fit_centroids(vectors, start_KD=np.zeros((0, 16)), num_centroids=6, min_items=3))
    assert len(np.unique(place_I * 10 + blob_I)) == len(np.unique(place_I)) == 6


def test_outliers_are_no_codes() -> None:
    vectors, _ = blobs(200, num_blobs=2)
    vectors = np.concatenate([vectors, -vectors[:1]])
    found = fit_centroids(vectors, start_KD=np.zeros((0, 16)), num_centroids=3, min_items=5)
    counts = np.bincount(nearest(vectors, found)[0])
    assert counts.min() >= 5


def test_every_item_also_a_new_one_has_a_code_on_every_level_of_its_branch() -> None:
    vectors, _ = blobs(800, num_blobs=8)
    codebook = grow(empty_codebook(16), vectors, config=CONFIG)
    new, _ = blobs(50, num_blobs=8, seed=9)
    code_IL = assign(codebook, np.concatenate([vectors, new]), levels=2)
    assert (code_IL[:, 0] != NO_CODE).all()
    assert (codebook.parent_C[code_IL[:, 0]] == NO_CODE).all()
    below = code_IL[:, 1] != NO_CODE
    assert below.mean() > 0.9
    assert np.array_equal(codebook.parent_C[code_IL[below, 1]], code_IL[below, 0])


def test_a_second_level_takes_what_the_first_leaves_over() -> None:
    vectors, _ = blobs(800, num_blobs=8)
    one, two = (grow(empty_codebook(16), vectors, config=CONFIG.model_copy(update={"theme_levels": levels})) for levels in (1, 2))
    code_IL = assign(two, vectors, levels=2)
    left = vectors - two.residual_CD[code_IL[:, 0]]
    further = left - np.where(code_IL[:, [1]] >= 0, two.residual_CD[code_IL[:, 1]], 0.0)
    assert np.square(further).sum() < np.square(left).sum()
    assert len(one.children(NO_CODE)) == num_codes(800, levels=1, config=CONFIG)


def test_growth_keeps_the_codes_and_adds_one_where_items_were_badly_covered() -> None:
    vectors, blob_I = blobs(400, num_blobs=4)
    config = CONFIG.model_copy(update={"theme_levels": 1, "items_per_theme": 75})
    old = grow(empty_codebook(16), vectors[blob_I < 3], config=config)
    grown = grow(old, vectors, config=config)
    assert len(old) == 4
    assert np.array_equal(grown.parent_C[: len(old)], old.parent_C)
    before = assign(old, vectors[blob_I == 0], levels=1)
    assert np.array_equal(np.unique(assign(grown, vectors[blob_I == 0], levels=1)), np.unique(before))
    assert np.square(vectors - grown.residual_CD[assign(grown, vectors, levels=1)[:, 0]]).sum(axis=1).max() < 0.5


def test_equal_vectors_and_no_vectors_end() -> None:
    assert len(grow(empty_codebook(4), np.zeros((0, 4)), config=CONFIG)) == 0
    same = on_grid(np.tile([0.6, 0.8, 0.0, 0.0], (500, 1)))
    assert assign(grow(empty_codebook(4), same, config=CONFIG), same, levels=2).shape == (500, 2)


PRINT_DIGEST = """
import hashlib, numpy as np
from ml.config.pipeline import InterestConfig
from ml.interests.codebook import empty_codebook, grow
from ml.interests.exact import on_grid
vectors = np.random.default_rng(3).normal(size=(1500, 96))
vectors = on_grid(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
found = grow(empty_codebook(96), vectors, config=InterestConfig(items_per_theme=20))
print(hashlib.sha256(found.residual_CD.tobytes() + found.parent_C.tobytes()).hexdigest())
"""


def test_threads_do_not_change_a_bit() -> None:
    digests = {
        subprocess.run(
            [sys.executable, "-c", PRINT_DIGEST],
            env=os.environ | {"OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for threads in ("1", "2", "3")
    }
    assert len(digests) == 1
