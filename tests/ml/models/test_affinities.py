"""What the ranker is told of a user and an item, worked out by hand."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp

from ml.models.community_popularity import community_shares
from ml.models.histories import Histories
from ml.models.hybrid.affinities import FARTHEST, NAMES, NEVER_DAYS, THROUGH_INTEREST, WITHIN_COMMUNITY, Affinities
from tests.ml.models.worlds import make_inputs, with_interests

LIKED = np.array([[1.0, 3.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 2.0, 0.0]])
AGES = np.array([[2.0, 10.0, 0.0, 0.0], [0.0, 4.0, 0.0, 0.0], [0.0, 0.0, 5.0, 0.0]])
TEXTS = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
# The last item nobody has met, and it is in no community.
MEMBERS = sp.csr_array(np.array([[1, 0], [1, 0], [0, 1], [0, 0]], dtype=np.float32))
HISTORIES = Histories(sp.csr_array(LIKED.astype(np.float32)), sp.csr_array(AGES.astype(np.float32)))
NOBODY = Histories(sp.csr_array((1, 4), dtype=np.float32), sp.csr_array((1, 4), dtype=np.float32))
LOG_10 = np.log(10)


def known() -> Affinities:
    inputs = with_interests(make_inputs(LIKED, text_ID=TEXTS), {"tag:x": [0, 3], "category:茶": [1], "category:壶": [2]})
    inputs = replace(
        inputs,
        age_UI=HISTORIES.age_UI,
        credibility_U=np.array([1.0, 0.5, 1.0], dtype=np.float32),
        price_I=np.array([10.0, 1000.0, np.nan, 100.0], dtype=np.float32),
    )
    return replace(Affinities.of(inputs), member_IC=MEMBERS)


def told(histories: Histories, *, row: int, item: int) -> dict[str, float]:
    found_PF = known().features(histories, row_P=np.array([row]), item_P=np.array([item]))
    assert found_PF.shape == (1, len(NAMES))
    return dict(zip(NAMES, found_PF[0].tolist(), strict=True))


def test_an_item_of_an_interest_that_nobody_has_met() -> None:
    assert told(HISTORIES, row=0, item=3) == pytest.approx(
        {
            "text similarity": 4 / np.sqrt(20),
            "interest overlap": 1 / np.sqrt(10),
            "category affinity": 0.0,
            "community affinity": 0.0,
            "price distance": 0.5 * LOG_10,
            "graph distance": THROUGH_INTEREST,
            "popularity": 0.0,
            "popularity trend": 0.0,
            "days since last liked": NEVER_DAYS,
            "days since first liked": NEVER_DAYS,
            "credibility of likers": np.nan,
            "likes of the user": np.log(3),
            "days since the user's last like": 2.0,
        },
        rel=1e-5,
        nan_ok=True,
    )


def test_an_item_of_the_users_community_and_one_beyond() -> None:
    near, far = told(HISTORIES, row=1, item=0), told(HISTORIES, row=0, item=2)
    assert (near["graph distance"], near["community affinity"], near["interest overlap"]) == (WITHIN_COMMUNITY, 1.0, 0.0)
    assert near["price distance"] == pytest.approx(2 * LOG_10)
    assert near["popularity trend"] == pytest.approx(np.log1p(4 / 7) - np.log(2))
    assert (far["graph distance"], far["community affinity"], far["category affinity"]) == (FARTHEST, 0.0, 0.0)
    assert np.isnan(far["price distance"])
    assert far["text similarity"] == pytest.approx(1 / np.sqrt(10))


def test_an_item_liked_by_two_to_somebody_who_likes_nothing() -> None:
    found = told(NOBODY, row=0, item=1)
    assert (found["days since last liked"], found["days since first liked"]) == (4.0, 10.0)
    assert (found["credibility of likers"], found["likes of the user"]) == (0.75, 0.0)
    assert found["popularity"] == pytest.approx(np.log1p(16 / 7))
    assert found["days since the user's last like"] == NEVER_DAYS
    assert np.isnan(found["price distance"])
    assert found["graph distance"] == FARTHEST
    assert not any(found[name] for name in ("text similarity", "interest overlap", "category affinity", "community affinity"))


def test_categories_alone_are_what_a_category_affinity_reads() -> None:
    assert told(HISTORIES, row=0, item=1)["category affinity"] == pytest.approx(1.0)
    assert told(HISTORIES, row=0, item=1)["interest overlap"] == pytest.approx(3 / np.sqrt(10))


def test_shares_of_communities_are_by_weight_and_sum_to_one() -> None:
    both = Histories(sp.csr_array(np.array([[1.0, 0.0, 3.0, 0.0], [0.0, 0.0, 0.0, 5.0]], dtype=np.float32)))
    np.testing.assert_allclose(community_shares(both, member_IC=MEMBERS).toarray(), [[0.25, 0.75], [0.0, 0.0]])


def test_what_is_kept_is_what_was_known() -> None:
    again = Affinities.from_arrays(known().to_arrays())
    pairs = {"row_P": np.repeat(np.arange(3), 4), "item_P": np.tile(np.arange(4), 3)}
    assert again.features(HISTORIES, **pairs).tobytes() == known().features(HISTORIES, **pairs).tobytes()
