"""Segments by hand: who is warm, which items are head, tail and cold."""

import numpy as np

from ml.evaluation.segments import head_items, num_likes, segments
from tests.ml.models.worlds import make_inputs


def test_the_head_is_the_fewest_items_that_hold_a_fifth_of_the_likes() -> None:
    # 20 likes: a fifth is 4, which the first item alone just holds.
    assert np.flatnonzero(head_items(np.array([1, 4, 3, 3, 3, 2, 2, 2, 0]))).tolist() == [1]
    # 21 likes: a fifth is 4.2, so the next one is needed too; the tie of 3 goes to the lower position.
    assert np.flatnonzero(head_items(np.array([2, 4, 3, 3, 3, 2, 2, 2, 0]))).tolist() == [1, 2]


def test_without_likes_there_is_no_head() -> None:
    assert not head_items(np.zeros(4, dtype=int)).any()
    assert head_items(np.zeros(0, dtype=int)).shape == (0,)


def test_segments_of_a_world_by_hand() -> None:
    liked_UI = np.array([[1.0, 1.0, 0, 0, 0], [0.1, 0, 0.1, 2.0, 0], [0, 0, 0, 0, 0], [5.0, 0, 0, 0, 0]])
    disliked_UI = np.array([[0.0] * 5, [0] * 5, [1.0, 0, 0, 0, 1.0], [0] * 5])
    inputs = make_inputs(liked_UI, disliked_UI=disliked_UI)
    np.testing.assert_array_equal(num_likes(inputs), [3, 1, 1, 1, 0])
    found = {group.name: group for group in segments(inputs, user_index=np.array([0, 2, 1]), cold_user_interactions=2)}
    assert list(found) == ["all", "warm_users", "cold_users", "cold_items", "head_items", "tail_items"]
    assert found["all"].users_T.tolist() == [True, True, True]
    assert found["warm_users"].users_T.tolist() == [True, False, True]
    assert found["cold_users"].users_T.tolist() == [False, True, False]
    assert np.flatnonzero(found["cold_items"].items_I).tolist() == [4]
    assert np.flatnonzero(found["head_items"].items_I).tolist() == [0]
    assert np.flatnonzero(found["tail_items"].items_I).tolist() == [1, 2, 3, 4]
