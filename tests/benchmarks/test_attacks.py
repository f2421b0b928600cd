"""Attacks are what the literature says, and look honest in length and time."""

import numpy as np
import pytest

from benchmarks.attacks import BEST, KINDS, WORST, Ratings, attack


def honest() -> Ratings:
    rng = np.random.default_rng(1)
    user, item = np.divmod(rng.choice(100 * 200, 4000, replace=False), 200)
    item = np.where(item >= 180, item, item % 180)
    order = np.unique(user * 200 + item)
    user, item = np.divmod(order, 200)
    return Ratings(user, item, rng.choice(np.arange(0.5, 5.5, 0.5), len(order)), rng.integers(0, 10**6, len(order)))


@pytest.mark.parametrize("kind", KINDS)
def test_every_attacker_rates_the_targets_to_the_end_of_the_scale(kind) -> None:
    world = honest()
    found = attack(world, kind=kind, share=0.05, num_targets=3, rng=np.random.default_rng(2))
    assert found.is_attacker_U.sum() == 5
    planted = found.ratings.user_N >= world.num_users
    aimed = planted & np.isin(found.ratings.item_N, found.targets)
    assert aimed.sum() == 15
    assert set(found.ratings.stars_N[aimed]) == {WORST if kind.endswith("nuke") else BEST}
    assert np.isin(found.ratings.at_N[planted], world.at_N).all()
    pairs = found.ratings.user_N * 1000 + found.ratings.item_N
    assert len(np.unique(pairs)) == len(pairs)


def test_honest_ratings_stay_as_they_are() -> None:
    world = honest()
    found = attack(world, kind="random", share=0.03, num_targets=1, rng=np.random.default_rng(2))
    assert np.array_equal(found.ratings.stars_N[: len(world.stars_N)], world.stars_N)


def test_love_hate_fillers_say_the_opposite_of_the_aim() -> None:
    found = attack(honest(), kind="love/hate push", share=0.02, num_targets=2, rng=np.random.default_rng(2))
    fillers = found.is_attacker_U[found.ratings.user_N] & ~np.isin(found.ratings.item_N, found.targets)
    assert set(found.ratings.stars_N[fillers]) == {WORST}
