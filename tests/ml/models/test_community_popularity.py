"""Popularity within communities keeps the recommender contract and stays within them."""

import numpy as np

from ml.models.community_popularity import CommunityPopularity, membership
from tests.ml.models.recommender_contract import RecommenderContract, everyone
from tests.ml.models.worlds import make_inputs


class TestCommunityPopularity(RecommenderContract):
    ignores_user_order = False  # where nodes hang between communities, their order decides

    def build(self) -> CommunityPopularity:
        return CommunityPopularity()


def test_the_most_liked_item_of_the_own_community_comes_first_and_others_have_nought() -> None:
    liked_UI = np.kron(np.eye(2), np.ones((6, 4)))
    liked_UI[1:6, 3] = 0.0
    liked_UI[1:3, 2] = 0.0
    inputs = make_inputs(liked_UI)
    scores_UI = CommunityPopularity().fit(inputs, rng=np.random.default_rng(1)).score(everyone(inputs))
    assert (scores_UI[:6, 4:] == 0).all()
    assert (scores_UI[6:, :4] == 0).all()
    assert scores_UI[1, 0] > scores_UI[1, 2] > scores_UI[1, 3] > 0


def test_items_outside_all_communities_have_no_member_row() -> None:
    np.testing.assert_array_equal(membership(np.array([0, -1, 1])).toarray(), [[1, 0], [0, 0], [0, 1]])
    assert membership(np.array([-1, -1])).shape == (2, 0)
