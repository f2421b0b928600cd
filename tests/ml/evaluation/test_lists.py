"""Coverage, novelty and popularity percentile by hand."""

import numpy as np
import scipy.sparse as sp

from ml.evaluation.lists import coverage, mean_over_history, mean_over_lists, popularity_percentile, self_information


def test_coverage_counts_distinct_items_and_no_padding() -> None:
    assert coverage(np.array([[0, 1], [1, -1]]), num_items=8) == 0.25
    assert coverage(np.full((2, 2), -1), num_items=8) == 0.0
    assert coverage(np.zeros((0, 2), dtype=int), num_items=0) == 0.0


def test_self_information_is_in_bits() -> None:
    np.testing.assert_allclose(self_information(np.array([7, 3, 0]), num_users=7), [0.0, 1.0, 3.0])


def test_percentiles_share_ties() -> None:
    # Two items below the first two thirds: ties of 0, 0 sit at ranks 1 and 2, so at 1.5.
    np.testing.assert_allclose(popularity_percentile(np.array([5, 0, 9, 0])), [2.5 / 4, 1 / 4, 3.5 / 4, 1 / 4])
    np.testing.assert_allclose(popularity_percentile(np.zeros(3, dtype=int)), 0.5)
    assert popularity_percentile(np.zeros(0, dtype=int)).shape == (0,)


def test_means_over_lists_skip_padding_and_empty_lists_have_none() -> None:
    value = np.array([1.0, 2.0, 4.0])
    np.testing.assert_array_equal(mean_over_lists(value, np.array([[0, 2], [1, -1], [-1, -1]])), [2.5, 2.0, np.nan])
    np.testing.assert_array_equal(mean_over_lists(np.zeros(0), np.full((2, 3), -1)), [np.nan, np.nan])


def test_means_over_history_count_each_like_once() -> None:
    liked = sp.csr_array(np.array([[0.1, 0.0, 9.0], [0.0, 0.0, 0.0]]))
    np.testing.assert_array_equal(mean_over_history(np.array([1.0, 2.0, 4.0]), liked), [2.5, np.nan])
