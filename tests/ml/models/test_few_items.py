"""Products over the few items that are there, against the products of scipy."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.models.few_items import few_items, product
from ml.models.spectral_filter import SpectralFilter
from tests.ml.models.worlds import make_inputs


def rows(rng: np.random.Generator, shape: tuple[int, int], *, density: float) -> sp.csr_array:
    return sp.csr_array((rng.random(shape) * (rng.random(shape) < density)).astype(np.float32))


@settings(deadline=None)
@given(st.integers(0, 6), st.integers(0, 12), st.sampled_from([0.0, 0.05, 0.3, 1.0]), st.integers(0, 1000))
def test_a_product_is_that_of_all_items(num_rows, num_items, density, seed) -> None:
    rng = np.random.default_rng(seed)
    weights, factor = rows(rng, (num_rows, num_items), density=density), rows(rng, (num_items, 5), density=0.5)
    expected = weights.toarray() @ factor.toarray()
    for given_factor in (factor, factor.toarray()):
        np.testing.assert_allclose(product(weights, given_factor), expected, rtol=1e-5, atol=1e-6)


def test_one_history_again_and_again_is_a_block_and_many_users_are_none() -> None:
    again = sp.csr_array(np.array([[0, 1, 0, 2], [0, 0, 0, 2], [0, 1, 0, 0]], dtype=np.float32))
    weight_BK, item_K = few_items(again)
    assert item_K.tolist() == [1, 3]
    assert weight_BK.tolist() == [[1, 2], [0, 2], [1, 0]]
    assert few_items(sp.csr_array(sp.eye_array(9, dtype=np.float32))) is None


@pytest.mark.parametrize("neighborhood", [0.0, 0.5])
def test_a_filter_reads_many_rows_of_few_likes_as_it_reads_each(neighborhood) -> None:
    liked = (np.random.default_rng(0).random((20, 8)) < 0.4).astype(np.float64)
    model = SpectralFilter(num_vectors=4, neighborhood=neighborhood).fit(make_inputs(liked), rng=np.random.default_rng(0))
    reduced = np.tile([[1.0, 0, 0, 2.0, 0, 3.0, 0, 0]], (6, 1))
    reduced[1, 0] = reduced[2, 3] = reduced[3, 5] = reduced[4, [0, 3]] = reduced[5, [0, 3, 5]] = 0.0
    histories = make_inputs(reduced).histories
    each = [model.fold_in(histories.take(np.array([row]))) for row in range(6)]
    np.testing.assert_allclose(model.fold_in(histories), np.concatenate(each), rtol=1e-5, atol=1e-6)
