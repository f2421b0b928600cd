"""Who visits the shop: latent interests, tastes and habits, one position per user.

Which items that draws them to is `world`. Array legend: U users, T themes, S
styles, B brands, C circles.
"""

from dataclasses import dataclass

import numpy as np

from examples.shop.arrays import Bools, Floats, Ints, chance, zipf_weights
from examples.shop.catalogue import NUM_CIRCLES
from examples.shop.lexicon import Lexicon
from examples.shop.settings import SampleSettings

# Interests: a few strong themes share 92%, some minor ones the rest; no minor one reaches STRONG_INTEREST.
STRONG_INTEREST = 0.07
STRONG_MASS = 0.92
NUM_STRONG = (2, 3, 4, 5)
NUM_STRONG_SHARES = (0.3, 0.35, 0.25, 0.1)
NUM_MINOR = 5
COMPANION_SHARE = 0.5

# The shift: what moves to season themes, and how it divides between two of them.
SHIFTED_MASS = np.array([0.5, 0.35])

SPAMMER_SHARE = 0.004
JOINED_BEFORE_START = 0.7
LANGUAGES_READ = ("en", "zh", "both")
LANGUAGE_SHARES = (0.55, 0.3, 0.15)
ACTIVITY_EXPONENT = 0.6
ACTIVITY_OFFSET = 20.0


@dataclass(frozen=True)
class Population:
    """Everybody; arrays of shape [U] unless their suffix says otherwise."""

    interests_UT: Floats
    shifted_interests_UT: Floats
    is_shifted: Bools
    is_spammer: Bools
    reads: Ints
    region: Ints
    birth_decade: Ints
    joined_day: Ints
    activity: Floats
    talkativeness: Floats
    leniency: Floats
    budget: Ints
    styles_US: Floats
    loves_brand_UB: Bools
    in_circle_UC: Bools

    def __len__(self) -> int:
        return len(self.joined_day)


def build_population(lexicon: Lexicon, *, settings: SampleSettings, rng: np.random.Generator) -> Population:
    """Draw `settings.num_users` people, spam accounts among them."""
    num_users = settings.num_users
    interests_UT = _interests(lexicon, num_users, rng)
    is_spammer = np.zeros(num_users, dtype=bool)
    is_spammer[rng.choice(num_users, size=max(2, round(SPAMMER_SHARE * num_users)), replace=False)] = True
    shifted_interests_UT, can_shift = _shifted_interests(lexicon, interests_UT, rng)
    styles_US = _styles(len(lexicon.styles), num_users, rng)
    activity = rng.permutation(zipf_weights(num_users, exponent=ACTIVITY_EXPONENT, offset=ACTIVITY_OFFSET))
    old = chance(JOINED_BEFORE_START, num_users, rng)
    return Population(
        interests_UT=interests_UT,
        shifted_interests_UT=shifted_interests_UT,
        is_shifted=_sample_share(can_shift & ~is_spammer, settings.shifted_share, rng),
        is_spammer=is_spammer,
        reads=rng.choice(len(LANGUAGES_READ), size=num_users, p=LANGUAGE_SHARES),
        region=rng.integers(6, size=num_users),
        birth_decade=rng.choice([1960, 1970, 1980, 1990, 2000], size=num_users, p=[0.08, 0.17, 0.28, 0.3, 0.17]),
        joined_day=np.where(old, rng.integers(-400, -30, size=num_users), rng.integers(0, settings.num_days, size=num_users)),
        activity=np.where(is_spammer, 0.0, activity),
        talkativeness=rng.beta(6, 2, size=num_users),
        leniency=rng.standard_normal(num_users),
        budget=rng.choice(3, size=num_users, p=[0.35, 0.4, 0.25]),
        styles_US=styles_US,
        loves_brand_UB=_loved_brands(lexicon, styles_US, rng),
        in_circle_UC=_circles(num_users, rng),
    )


def _interests(lexicon: Lexicon, num_users: int, rng: np.random.Generator) -> Floats:
    """Rows sum to 1, shape [U, T]: 2 to 5 strong themes, then minor ones."""
    names = [theme.name for theme in lexicon.themes]
    popularity = np.array([theme.popularity for theme in lexicon.themes])
    companions = [[names.index(name) for name in theme.companions] for theme in lexicon.themes]
    interests_UT = np.zeros((num_users, len(names)))
    for user, num_strong in enumerate(rng.choice(NUM_STRONG, size=num_users, p=NUM_STRONG_SHARES)):
        strong = _pick_strong(popularity, companions, num_strong, rng)
        rest = popularity.copy()
        rest[strong] = 0.0
        minor = rng.choice(len(names), size=NUM_MINOR, replace=False, p=rest / rest.sum())
        interests_UT[user, strong] = STRONG_MASS * (0.5 / num_strong + 0.5 * rng.dirichlet(np.full(num_strong, 3.0)))
        interests_UT[user, minor] = (1 - STRONG_MASS) * (0.5 / NUM_MINOR + 0.5 * rng.dirichlet(np.full(NUM_MINOR, 2.0)))
    return interests_UT


def _pick_strong(popularity_T: Floats, companions: list[list[int]], count: int, rng: np.random.Generator) -> list[int]:
    picked: list[int] = []
    while len(picked) < count:
        near = sorted({companion for theme in picked for companion in companions[theme]} - set(picked))
        if near and rng.random() < COMPANION_SHARE:
            picked.append(int(rng.choice(near)))
            continue
        left = popularity_T.copy()
        left[picked] = 0.0
        picked.append(int(rng.choice(len(left), p=left / left.sum())))
    return picked


def _shifted_interests(lexicon: Lexicon, interests_UT: Floats, rng: np.random.Generator) -> tuple[Floats, Bools]:
    """Interests after the shift, shape [U, T], and who has two season themes that were not strong before, shape [U]."""
    season = np.flatnonzero([theme.is_season for theme in lexicon.themes])
    is_open_US = interests_UT[:, season] < STRONG_INTEREST
    order_US = np.argsort(np.where(is_open_US, rng.random(is_open_US.shape), 2.0), axis=1)[:, : len(SHIFTED_MASS)]
    shifted_UT = interests_UT * (1 - SHIFTED_MASS.sum())
    shifted_UT[np.arange(len(shifted_UT))[:, None], season[order_US]] += SHIFTED_MASS
    return shifted_UT, is_open_US.sum(axis=1) >= len(SHIFTED_MASS)


def _sample_share(allowed_U: Bools, share: float, rng: np.random.Generator) -> Bools:
    chosen_U = np.zeros(len(allowed_U), dtype=bool)
    candidates = np.flatnonzero(allowed_U)
    count = min(len(candidates), round(share * len(allowed_U)))
    chosen_U[rng.choice(candidates, size=count, replace=False)] = True
    return chosen_U


def _styles(num_styles: int, num_users: int, rng: np.random.Generator) -> Floats:
    """1 for a user's main style, 0.5 for the second, 0 for the others, shape [U, S]."""
    order_US = np.argsort(rng.random((num_users, num_styles)), axis=1)
    styles_US = np.zeros((num_users, num_styles))
    styles_US[np.arange(num_users), order_US[:, 0]] = 1.0
    styles_US[np.arange(num_users), order_US[:, 1]] = 0.5
    return styles_US


def _loved_brands(lexicon: Lexicon, styles_US: Floats, rng: np.random.Generator) -> Bools:
    """About three brands each, all of the main style, shape [U, B]."""
    brand_style = np.array([brand.style for brand in lexicon.brands])
    of_style_UB = styles_US[:, brand_style] == 1.0
    return np.asarray(of_style_UB & (rng.random(of_style_UB.shape) < 3.0 / of_style_UB.sum(axis=1, keepdims=True)))


def _circles(num_users: int, rng: np.random.Generator) -> Bools:
    """One circle for half of the people, two for the others, shape [U, C]."""
    order_UC = np.argsort(rng.random((num_users, NUM_CIRCLES)), axis=1)
    in_circle_UC = np.zeros((num_users, NUM_CIRCLES), dtype=bool)
    in_circle_UC[np.arange(num_users), order_UC[:, 0]] = True
    second = chance(0.5, num_users, rng)
    in_circle_UC[second, order_UC[second, 1]] = True
    return in_circle_UC
