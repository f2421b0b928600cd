"""The answer sheet holds new likes of known users inside the window, and counts what it leaves out."""

from dataclasses import replace

import numpy as np
import pytest

from ml.evaluation.truth import held_out
from ml.models.inputs import ModelInputs
from tests.ml.evaluation.interaction_rows import at, interactions
from tests.ml.models.worlds import make_inputs

USERS = ["用户0000", "用户0001", "用户0002"]
ITEMS = [f"item-{position:04d}-茶" for position in range(4)]


@pytest.fixture
def inputs() -> ModelInputs:
    liked_UI = np.array([[1.0, 0, 0, 0], [0, 1.0, 0, 0], [0, 0, 1.0, 0]])
    disliked_UI = np.array([[0, 0, 0, 1.0], [0, 0, 0, 0], [0, 0, 0, 0]])
    return replace(make_inputs(liked_UI, disliked_UI=disliked_UI), as_of=at(10))


def truth_of(rows: list[tuple[str, str, float, float]], inputs: ModelInputs) -> np.ndarray:
    truth = held_out(interactions(rows), inputs=inputs, start=at(10), end=at(20))
    assert truth.relevant_UI.dtype == bool
    assert truth.user_index.tolist() == np.flatnonzero(truth.relevant_UI.toarray().any(axis=1)).tolist()
    return truth.relevant_UI.toarray()


def test_only_rows_inside_the_half_open_window_count(inputs: ModelInputs) -> None:
    rows = [
        (USERS[0], ITEMS[1], 1.0, 9.999),
        (USERS[0], ITEMS[2], 1.0, 10.0),
        (USERS[1], ITEMS[2], 1.0, 19.999),
        (USERS[2], ITEMS[0], 1.0, 20.0),
    ]
    np.testing.assert_array_equal(np.argwhere(truth_of(rows, inputs)), [[0, 2], [1, 2]])


def test_seen_items_are_no_answer_disliked_ones_included(inputs: ModelInputs) -> None:
    rows = [(USERS[0], ITEMS[0], 1.0, 12), (USERS[0], ITEMS[3], 1.0, 12), (USERS[0], ITEMS[1], 1.0, 12)]
    np.testing.assert_array_equal(np.argwhere(truth_of(rows, inputs)), [[0, 1]])


def test_a_pair_is_liked_if_its_weights_sum_to_above_zero(inputs: ModelInputs) -> None:
    rows = [
        (USERS[0], ITEMS[1], 1.0, 12),
        (USERS[0], ITEMS[1], -2.0, 13),
        (USERS[1], ITEMS[2], -1.0, 12),
        (USERS[1], ITEMS[2], 3.0, 13),
        (USERS[2], ITEMS[0], 1.0, 12),
        (USERS[2], ITEMS[0], -1.0, 13),
    ]
    np.testing.assert_array_equal(np.argwhere(truth_of(rows, inputs)), [[1, 2]])


def test_unknown_users_and_items_are_counted(inputs: ModelInputs) -> None:
    rows = [
        ("新", ITEMS[0], 1.0, 12),
        ("新", ITEMS[1], 1.0, 12),
        ("newer", ITEMS[0], 1.0, 12),
        ("hater", ITEMS[0], -1.0, 12),
        (USERS[0], "nowhere", 1.0, 12),
    ]
    truth = held_out(interactions(rows), inputs=inputs, start=at(10), end=at(20))
    assert (truth.num_unknown_users, truth.num_unknown_items) == (2, 1)
    assert truth.relevant_UI.nnz == 0
    assert truth.user_index.shape == (0,)


def test_no_rows_are_an_empty_truth(inputs: ModelInputs) -> None:
    assert not truth_of([], inputs).any()


def test_inputs_that_know_the_window_are_refused(inputs: ModelInputs) -> None:
    with pytest.raises(ValueError, match="overlaps"):
        held_out(interactions([]), inputs=inputs, start=at(9.9), end=at(20))


def test_a_gap_between_inputs_and_window_is_allowed(inputs: ModelInputs) -> None:
    rows = [(USERS[1], ITEMS[2], 1.0, 12), (USERS[2], ITEMS[1], 1.0, 16)]
    truth = held_out(interactions(rows), inputs=inputs, start=at(15), end=at(20))
    np.testing.assert_array_equal(np.argwhere(truth.relevant_UI.toarray()), [[2, 1]])
