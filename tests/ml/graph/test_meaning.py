"""Similar items: against every pair looked at one by one, and where there must be none."""

import numpy as np
import pytest

from ml.config.pipeline import GraphConfig
from ml.graph import meaning
from ml.graph.meaning import noise_floor, similar_edges

CONFIG = GraphConfig(num_similar=3, similar_noise_quantile=0.9)


def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def unit(vectors_ID: np.ndarray) -> np.ndarray:
    return vectors_ID / np.linalg.norm(vectors_ID, axis=1, keepdims=True)


def clustered(num_items: int, *, seed: int = 0) -> np.ndarray:
    draw = np.random.default_rng(seed)
    return (np.eye(8)[draw.integers(8, size=num_items)] + 0.3 * draw.normal(size=(num_items, 8)) + 1.0).astype(np.float32)


def pairs(edges) -> dict[tuple[int, int], float]:
    return dict(zip(zip(edges.source_index.tolist(), edges.target_index.tolist(), strict=True), edges.weight.tolist(), strict=True))


def naive(vectors_ID: np.ndarray, *, k: int, quantile: float) -> dict[tuple[int, int], float]:
    cosine = unit(vectors_ID.astype(np.float64)) @ unit(vectors_ID.astype(np.float64)).T
    num_items = len(cosine)
    floor = np.quantile(cosine[np.triu_indices(num_items, 1)], quantile)
    near = [set(sorted((j for j in range(num_items) if j != i), key=lambda j: -cosine[i, j])[:k]) for i in range(num_items)]
    return {
        (i, j): (cosine[i, j] - floor) / (1 - floor)
        for i in range(num_items)
        for j in range(i + 1, num_items)
        if j in near[i] and i in near[j] and cosine[i, j] > floor + 1e-5
    }


@pytest.mark.parametrize("seed", range(5))
def test_equals_every_pair_looked_at(seed: int, monkeypatch) -> None:
    monkeypatch.setattr(meaning, "_BLOCK_CELLS", 200)  # a few items to a block
    vectors_ID = clustered(60, seed=seed)
    expected = naive(vectors_ID, k=3, quantile=0.9)
    assert expected
    assert pairs(similar_edges(vectors_ID, config=CONFIG, rng=rng())) == pytest.approx(expected, abs=1e-5)


def test_a_far_neighbour_is_no_similar_item_however_near_the_others_are() -> None:
    # Two groups; the last item is alone: its nearest have nearer ones, and it is below the floor anyway.
    vectors_ID = np.concatenate([np.tile([1, 0, 0], (6, 1)), np.tile([0, 1, 0], (6, 1)), [[0, 0.1, 1]]]).astype(np.float32)
    vectors_ID[:12] += 0.05 * np.random.default_rng(1).normal(size=(12, 3)).astype(np.float32)
    found = pairs(similar_edges(vectors_ID, config=GraphConfig(num_similar=3, similar_noise_quantile=0.6), rng=rng()))
    assert found
    assert all((left < 6) == (right < 6) and right < 12 for left, right in found)


def test_what_all_items_have_in_common_is_noise() -> None:
    same = np.ones((50, 8), dtype=np.float32)
    assert not len(similar_edges(same, config=CONFIG, rng=rng()))
    high = similar_edges(clustered(200) + 5, config=CONFIG, rng=rng())
    assert len(high)
    assert noise_floor(unit(clustered(200) + 5), quantile=0.9, max_pairs=10**6, rng=rng()) > 0.99


@pytest.mark.parametrize("num_items", [0, 1, 2])
def test_too_few_to_know_noise(num_items: int) -> None:
    assert not len(similar_edges(clustered(num_items), config=CONFIG, rng=rng()))


def test_no_vectors_at_all() -> None:
    assert not len(similar_edges(np.zeros((0, 0), dtype=np.float32), config=CONFIG, rng=rng()))
    assert not len(similar_edges(np.zeros((4, 0), dtype=np.float32), config=CONFIG, rng=rng()))


def test_items_without_text_have_no_edges_and_change_none() -> None:
    vectors_ID = clustered(40)
    expected = pairs(similar_edges(vectors_ID, config=CONFIG, rng=rng()))
    with_gaps = np.zeros((80, 8), dtype=np.float32)
    with_gaps[::2] = vectors_ID
    found = pairs(similar_edges(with_gaps, config=CONFIG, rng=rng()))
    assert found == pytest.approx({(2 * left, 2 * right): weight for (left, right), weight in expected.items()})


def test_a_drawn_floor_is_near_the_whole_one_and_the_same_each_time() -> None:
    vectors_ID = unit(clustered(400)).astype(np.float32)
    whole = noise_floor(vectors_ID, quantile=0.9, max_pairs=10**6, rng=rng())
    drawn = [noise_floor(vectors_ID, quantile=0.9, max_pairs=20_000, rng=rng()) for _ in range(2)]
    assert drawn[0] == drawn[1] != whole
    assert drawn[0] == pytest.approx(whole, abs=0.01)


def test_edges_are_sorted_and_go_up() -> None:
    edges = similar_edges(clustered(100), config=CONFIG, rng=rng())
    assert (edges.source_index < edges.target_index).all()
    np.testing.assert_array_equal(np.lexsort((edges.target_index, edges.source_index)), np.arange(len(edges)))
    assert ((edges.weight > 0) & (edges.weight <= 1)).all()
    assert edges.source_index.dtype == edges.target_index.dtype == np.int64
    assert edges.weight.dtype == np.float32
