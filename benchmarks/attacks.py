"""Shilling profiles as the literature defines them, planted among real ratings; nothing here knows how they are looked for.

Lam & Riedl, "Shilling recommender systems for fun and profit", WWW 2004; Mobasher et al., "Toward trustworthy recommender
systems", ACM TOIT 7(4), 2007. Profiles are as long as honest ones and rate at an honest user's moments, so that neither tells.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

# The last is average over popular items (Hurley et al., RecSys 2009): made to look like everybody.
KINDS = ("random", "average", "bandwagon", "love/hate push", "love/hate nuke", "average over popular")
BEST, WORST, STEP = 5.0, 0.5, 0.5
FEWEST_FILLERS, MOST_FILLERS = 20, 300
NUM_POPULAR, POPULAR_PER_PROFILE = 30, 10
MOST_RATINGS_OF_A_TARGET = 20


@dataclass(frozen=True)
class Ratings:
    """Positions of users and items, stars, and UTC seconds, each shape [N]."""

    user_N: Ints
    item_N: Ints
    stars_N: Floats
    at_N: Ints

    @property
    def num_users(self) -> int:
        """Users there are."""
        return int(self.user_N.max()) + 1

    @property
    def num_items(self) -> int:
        """Items there are."""
        return int(self.item_N.max()) + 1


@dataclass(frozen=True)
class Attacked:
    """The ratings with the attackers' behind the honest users, and the items they are after."""

    ratings: Ratings
    is_attacker_U: npt.NDArray[np.bool_]
    targets: Ints


def attack(honest: Ratings, *, kind: str, share: float, num_targets: int, rng: np.random.Generator) -> Attacked:
    """Plant `share` of the honest users' number as attackers, all after the same few little rated items."""
    num_attackers = max(round(share * honest.num_users), 1)
    rated_I = np.bincount(honest.item_N, minlength=honest.num_items)
    targets = rng.choice(np.flatnonzero((rated_I > 0) & (rated_I <= MOST_RATINGS_OF_A_TARGET)), num_targets, replace=False)
    profiles = [_profile(honest, kind=kind, targets=targets, rng=rng) for _ in range(num_attackers)]
    length = [len(items) for items, _, _ in profiles]
    ratings = Ratings(
        np.concatenate([honest.user_N, np.repeat(honest.num_users + np.arange(num_attackers), length)]),
        np.concatenate([honest.item_N, *(items for items, _, _ in profiles)]),
        np.concatenate([honest.stars_N, *(stars for _, stars, _ in profiles)]),
        np.concatenate([honest.at_N, *(moments for _, _, moments in profiles)]),
    )
    return Attacked(ratings, np.arange(ratings.num_users) >= honest.num_users, targets)


def _profile(honest: Ratings, *, kind: str, targets: Ints, rng: np.random.Generator) -> tuple[Ints, Floats, Ints]:
    lengths_U = np.bincount(honest.user_N)
    num_fillers = int(np.clip(rng.choice(lengths_U), FEWEST_FILLERS, MOST_FILLERS))
    rated_I = np.bincount(honest.item_N, minlength=honest.num_items)
    others = np.setdiff1d(np.arange(honest.num_items), targets)
    odds = rated_I[others] / rated_I[others].sum() if kind == "average over popular" else None
    fillers = rng.choice(others, num_fillers, replace=False, p=odds)
    popular = np.setdiff1d(np.argsort(-rated_I, kind="stable")[:NUM_POPULAR], targets)
    chosen = rng.choice(popular, POPULAR_PER_PROFILE, replace=False) if kind == "bandwagon" else popular[:0]
    fillers = np.setdiff1d(fillers, chosen)
    stars = np.concatenate([_filler_stars(honest, fillers, kind=kind, rng=rng), np.full(len(chosen), BEST)])
    aim = WORST if kind == "love/hate nuke" else BEST
    items = np.concatenate([fillers, chosen, targets])
    moments = honest.at_N[honest.user_N == rng.integers(honest.num_users)]
    return items, np.concatenate([stars, np.full(len(targets), aim)]), rng.choice(moments, len(items))


def _filler_stars(honest: Ratings, fillers: Ints, *, kind: str, rng: np.random.Generator) -> Floats:
    """Random and bandwagon: about the mean of all; average: about each item's own; love/hate: the opposite of the aim."""
    if kind.startswith("love/hate"):
        return np.full(len(fillers), BEST if kind == "love/hate nuke" else WORST)
    mean_I = np.bincount(honest.item_N, weights=honest.stars_N) / np.maximum(np.bincount(honest.item_N), 1)
    centre = mean_I[fillers] if kind.startswith("average") else np.full(len(fillers), honest.stars_N.mean())
    drawn = rng.normal(centre, honest.stars_N.std())
    return np.asarray(np.clip(np.round(drawn / STEP) * STEP, WORST, BEST), dtype=np.float64)
