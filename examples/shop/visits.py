"""Visits and what is looked at in them: who comes when, with what in mind, and picks which items.

What follows from a look (cart, purchase, words) is `behaviour`. Array legend:
V visits, N looks, I items, T themes.
"""

from dataclasses import dataclass

import numpy as np

from examples.shop.arrays import SECONDS_PER_DAY, Floats, Ints, chance, draw_from_rows
from examples.shop.events import VIEW, Events
from examples.shop.world import World

# Simulated before day 0 and dropped, so that returns and reorders are in balance from the first day.
WARM_UP_DAYS = 28
VISITS_PER_USER_DAY = 0.22
# The new season brings those it is for more often.
SHIFTED_VISITS = 1.4
WEEKDAY = np.array([0.95, 0.9, 0.9, 0.95, 1.05, 1.15, 1.1])
HOUR = np.array([2, 1, 1, 1, 1, 2, 4, 6, 7, 7, 6, 6, 8, 7, 6, 6, 6, 7, 9, 11, 13, 13, 10, 5], dtype=float)
EXTRA_LOOKS = 1.6
STAYS_ON_THEME = 0.7
OFF_INTEREST = 0.05
OFF_THEME_WEIGHT = 0.0006
NEW_ITEM_DAYS = 7
NEW_ITEM_BOOST = 2.5
CANDIDATES = 3
BLOCK = 2048


@dataclass(frozen=True)
class Visits:
    """Parallel columns of shape [V]: who, when it begins (seconds), with which theme in mind."""

    user: Ints
    at: Ints
    theme: Ints

    def __len__(self) -> int:
        return len(self.user)


def simulate_visits(world: World, *, rng: np.random.Generator) -> Visits:
    """Visits of all days, warm-up included, by user and day."""
    population, settings = world.population, world.settings
    days = np.arange(-WARM_UP_DAYS, settings.num_days)
    weekday_D = WEEKDAY[(settings.first_day.weekday() + days) % 7]
    present_UD = population.joined_day[:, None] <= days
    eager_UD = 1 + (SHIFTED_VISITS - 1) * world.has_shifted(np.arange(len(population))[:, None], days)
    counts_UD = rng.poisson(VISITS_PER_USER_DAY * population.activity[:, None] * weekday_D * present_UD * eager_UD)
    user, day = (np.repeat(axis, counts_UD.ravel()) for axis in (index.ravel() for index in np.indices(counts_UD.shape)))
    hour = rng.choice(24, size=len(user), p=HOUR / HOUR.sum())
    at = days[day] * SECONDS_PER_DAY + hour * 3600 + rng.integers(3600, size=len(user))
    theme = draw_from_rows(_mind(world, user, days[day]), rng)[:, 0]
    return Visits(user, at, theme)


def simulate_looks(visits: Visits, *, world: World, rng: np.random.Generator) -> Events:
    """The items viewed in each visit, a minute or so apart; visit numbers are positions in `visits`."""
    num_looks = 1 + rng.poisson(EXTRA_LOOKS, size=len(visits))
    visit = np.repeat(np.arange(len(visits)), num_looks)
    step = np.arange(len(visit)) - np.repeat(np.cumsum(num_looks) - num_looks, num_looks)
    user, day = visits.user[visit], visits.at[visit] // SECONDS_PER_DAY
    strayed = draw_from_rows(_mind(world, user, day), rng)[:, 0]
    theme = np.where(chance(STAYS_ON_THEME, len(visit), rng), visits.theme[visit], strayed)
    item = _choose_items(user, theme=theme, day=day, world=world, rng=rng)
    at = visits.at[visit] + step * 75 + rng.integers(60, size=len(visit))
    none = np.full(len(visit), -1)
    return Events(user=user, item=item, kind=np.full(len(visit), VIEW), at=at, visit=visit, theme=theme, stars=none)


def _mind(world: World, user: Ints, day: Ints) -> Floats:
    """How likely each theme is on a user's mind that day, rows sum to 1, shape [N, T]."""
    people = world.population
    has_shifted_N1 = world.has_shifted(user, day)[:, None] > 0
    interests_NT = np.where(has_shifted_N1, people.shifted_interests_UT[user], people.interests_UT[user])
    mind_NT: Floats = (1 - OFF_INTEREST) * interests_NT + OFF_INTEREST * world.popularity_T
    return mind_NT


def _choose_items(user: Ints, *, theme: Ints, day: Ints, world: World, rng: np.random.Generator) -> Ints:
    """An item of the theme, to the user's taste, already on sale that day, rather one not seen before, shape [N]."""
    themes_TI = np.ascontiguousarray(world.catalogue.themes_IT.T) + OFF_THEME_WEIGHT
    drawn_UI = world.taste_UI * world.catalogue.appeal
    first_day_I = world.catalogue.created_at // SECONDS_PER_DAY + 1
    chosen = [np.empty((0, CANDIDATES), dtype=np.int64)]
    for start in range(0, len(user), BLOCK):
        rows = slice(start, start + BLOCK)
        age_NI = day[rows, None] - first_day_I
        shelf_NI = np.where(age_NI < 0, 0.0, np.where(age_NI < NEW_ITEM_DAYS, NEW_ITEM_BOOST, 1.0))
        chosen.append(draw_from_rows(themes_TI[theme[rows]] * drawn_UI[user[rows]] * shelf_NI, rng, draws=CANDIDATES))
    return _prefer_unseen(user, np.concatenate(chosen), num_items=len(world.catalogue))


def _prefer_unseen(user: Ints, candidates_NK: Ints, *, num_items: int) -> Ints:
    """The first candidate; where an earlier row of the same user has it already, the next one, shape [N]."""
    item = candidates_NK[:, 0]
    for candidate in candidates_NK.T[1:]:
        is_first = np.zeros(len(item), dtype=bool)
        is_first[np.unique(user * num_items + item, return_index=True)[1]] = True
        item = np.where(is_first, item, candidate)
    return item
