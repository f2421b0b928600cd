"""top_n_vectors against top_n on the same vectors: small integers, so that every product is exact and ties are many."""

from functools import partial

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from ml.ranking import top_n_vectors as module
from ml.ranking.factors import Factors
from ml.ranking.tiles import on_cpu, on_cuda
from ml.ranking.top_n_vectors import top_n_vectors
from ml.top_n import top_n

CPU = torch.device("cpu")
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA device here")


@st.composite
def problems(draw):
    """Vectors, exclusions, users asked for, and the other arguments."""
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    num_users, num_items, size = draw(st.integers(0, 9)), draw(st.integers(0, 700)), draw(st.integers(1, 5))
    levels = draw(st.sampled_from([0, 1, 2, 1000]))
    users, items = (rng.integers(-levels, levels + 1, size=(count, size)).astype(np.float32) for count in (num_users, num_items))
    bias = rng.integers(-1, 2, size=num_items).astype(np.float32) * draw(st.booleans())
    excluded = sp.csr_array(rng.random((num_users, num_items)) < draw(st.sampled_from([0.0, 0.3, 1.0])))
    allowed = rng.random(num_items) < 0.5 if draw(st.booleans()) else None
    asked = rng.permutation(num_users)[: draw(st.integers(0, num_users))]
    rest = {"k": draw(st.integers(1, 30)), "block_size": draw(st.integers(1, 5)), "allowed_I": allowed}
    return Factors(users, items, bias), {"user_index": asked, "excluded_UI": excluded, **rest}


def scores_of(factors: Factors):
    return lambda rows: factors.users_UD[rows] @ factors.items_ID.T + factors.bias_I


@pytest.mark.parametrize("tile", [64, 200, 65_536])
@pytest.mark.parametrize("for_device", [on_cpu, partial(on_cuda, device=CPU)], ids=["cpu", "cuda"])
@settings(deadline=None, max_examples=60)
@given(problem=problems())
def test_equals_top_n_for_any_tile_by_either_way(tile, for_device, problem) -> None:
    factors, asked = problem
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "TILE", tile)
        # What runs on CUDA is torch alone and gives the same on a CPU.
        patch.setattr(module, "on_cpu", for_device)
        items_UK, scores_UK = top_n_vectors(factors, device=CPU, **asked)
    expected_items, expected_scores = top_n(scores_of(factors), **asked)
    assert_array_equal(items_UK, expected_items)
    assert_array_equal(scores_UK, expected_scores)


def real_valued(num_users: int = 300, num_items: int = 5000) -> tuple[Factors, dict]:
    rng = np.random.default_rng(3)
    users, items = (rng.normal(size=(count, 24)).astype(np.float32) for count in (num_users, num_items))
    excluded = sp.csr_array(sp.random_array((num_users, num_items), density=0.01, rng=rng))
    factors = Factors(users, items, rng.normal(size=num_items).astype(np.float32))
    return factors, {"user_index": np.arange(num_users), "excluded_UI": excluded, "k": 20, "block_size": 128}


def agrees(found, expected) -> None:
    """Equal scores to float32 accuracy, and the same items but where two scores are that near."""
    assert_allclose(found[1], expected[1], rtol=1e-5, atol=1e-5)
    assert np.mean(found[0] == expected[0]) > 0.999


def test_real_numbers_agree_with_top_n() -> None:
    factors, asked = real_valued()
    agrees(top_n_vectors(factors, device=CPU, **asked), top_n(scores_of(factors), **asked))


@needs_cuda
def test_cuda_agrees_with_the_cpu() -> None:
    factors, asked = real_valued()
    agrees(top_n_vectors(factors, device=torch.device("cuda"), **asked), top_n_vectors(factors, device=CPU, **asked))


@needs_cuda
@settings(deadline=None, max_examples=60)
@given(problem=problems())
def test_ties_on_cuda_go_to_the_lower_position(problem) -> None:
    factors, asked = problem
    items_UK, _ = top_n_vectors(factors, device=torch.device("cuda"), **asked)
    assert_array_equal(items_UK, top_n(scores_of(factors), **asked)[0])


def test_everything_ties_in_a_catalogue_of_several_tiles(monkeypatch) -> None:
    monkeypatch.setattr(module, "TILE", 1000)
    factors = Factors(np.zeros((2, 4), dtype=np.float32), np.ones((5000, 4), dtype=np.float32), np.zeros(5000, dtype=np.float32))
    excluded = sp.csr_array((np.ones(2), ([0, 0], [0, 2])), shape=(2, 5000))
    items_UK, _ = top_n_vectors(factors, user_index=np.arange(2), excluded_UI=excluded, k=3, block_size=2, device=CPU)
    assert items_UK.tolist() == [[1, 3, 4], [0, 1, 2]]


def test_progress_counts_users_and_ends_at_all() -> None:
    factors, asked = real_valued(num_users=300, num_items=50)
    calls: list[tuple[int, int]] = []
    top_n_vectors(factors, device=CPU, progress=lambda done, total: calls.append((done, total)), **asked)
    assert calls == [(128, 300), (256, 300), (300, 300)]


def test_memory_does_not_grow_with_the_catalogue() -> None:
    """The largest piece a block asks for is its tile of scores."""
    sizes = []
    for num_items in (module.TILE, 4 * module.TILE):
        factors = Factors(
            np.ones((4, 1), dtype=np.float32), np.ones((num_items, 1), dtype=np.float32), np.zeros(num_items, dtype=np.float32)
        )
        best_of_tile = on_cpu(factors.items_ID)
        for start in range(0, num_items, module.TILE):
            tile = slice(start, start + module.TILE)
            best_of_tile(factors.users_UD, tile, excluded_BI=sp.csr_array((4, module.TILE)), k=5)
        buffer = next(cell.cell_contents for cell in best_of_tile.__closure__ if getattr(cell.cell_contents, "ndim", 0) == 1)
        sizes.append(buffer.size)
    assert sizes[0] == sizes[1] < 1.2 * 4 * module.TILE


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e20])
def test_vectors_whose_scores_may_not_be_finite_are_refused(bad) -> None:
    with pytest.raises(ValueError, match="not finite, or too long"):
        Factors(np.full((1, 2), bad, dtype=np.float32), np.full((1, 2), 1e20, dtype=np.float32), np.zeros(1, dtype=np.float32))


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="shapes"):
        Factors(np.zeros((1, 2), dtype=np.float32), np.zeros((3, 2), dtype=np.float32), np.zeros(2, dtype=np.float32))
    factors, asked = real_valued(num_users=2, num_items=3)
    with pytest.raises(ValueError, match="excluded_UI has shape"):
        top_n_vectors(factors, device=CPU, **(asked | {"excluded_UI": sp.csr_array((2, 4))}))
    with pytest.raises(ValueError, match="at least 1"):
        top_n_vectors(factors, device=CPU, **(asked | {"k": 0}))
