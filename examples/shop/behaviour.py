"""What follows from looking: returning, the cart, buying, buying again, judging, searching.

Visits and looks themselves are `visits`; paid praise is `spam`; the words are
`user_texts`. Array legend: N rows, U users, I items.
"""

import numpy as np

from examples.shop.arrays import SECONDS_PER_DAY, Floats, chance, sigmoid
from examples.shop.events import CART, PURCHASE, RATING, REVIEW, SEARCH, Events, concatenate
from examples.shop.visits import Visits, simulate_looks, simulate_visits
from examples.shop.world import World

RETURNS = 0.15
RETURN_DAYS = 5
SEARCHES = 0.16
SHIFTED_SEARCHES = 0.5
REORDERS = 0.5
REORDER_AFTER_DAYS = (12, 20)
# Looked at because people have it from elsewhere: they rate it.
OWNED_ALREADY = 0.11
GIVES_FEEDBACK = 1.2
WRITES_WORDS = 0.85
FEEDBACK_AFTER_DAYS = (0.3, 2.5)
# People on new ground ask more, buy faster and are let down more often.
SHIFTED_CART_LOGIT = 1.9
SHIFTED_PURCHASE_LOGIT = 1.3
SHIFTED_STARS = -0.9


def simulate_behaviour(world: World, *, rng: np.random.Generator) -> Events:
    """All honest events from day 0 through the last day, by time."""
    visits = simulate_visits(world, rng=rng)
    looks = simulate_looks(visits, world=world, rng=rng)
    returns = _return(looks, num_visits=len(visits), rng=rng)
    carts = _put_in_cart(concatenate([looks, returns]), num_visits=len(visits), world=world, rng=rng)
    purchases = _buy(carts, world=world, rng=rng)
    reorders = _reorder(purchases, world=world, num_visits=len(visits) + len(returns), rng=rng)
    owned = looks.where(chance(OWNED_ALREADY, len(looks), rng))
    feedback = _judge(concatenate([purchases, reorders, owned]).by_time(), world=world, rng=rng)
    searches = _search(visits, looks=looks, world=world, rng=rng)
    everything = concatenate([looks, returns, carts, purchases, reorders, feedback, searches])
    inside = (everything.at >= 0) & (everything.at < world.settings.num_days * SECONDS_PER_DAY)
    return everything.where(inside).by_time()


def _return(looks: Events, *, num_visits: int, rng: np.random.Generator) -> Events:
    """Some things are looked at again within days, in a visit of their own."""
    again = looks.where(chance(RETURNS, len(looks), rng))
    later = rng.integers(SECONDS_PER_DAY // 4, RETURN_DAYS * SECONDS_PER_DAY, size=len(again))
    return again.replace(at=again.at + later, visit=num_visits + np.arange(len(again)))


def _put_in_cart(looks: Events, *, num_visits: int, world: World, rng: np.random.Generator) -> Events:
    """A look becomes a cart by quality and fit, more so on return and on new ground."""
    quality = world.catalogue.quality[looks.item]
    logit = -1.75 + 0.45 * quality + 0.45 * world.fit(looks) + 0.9 * (looks.visit >= num_visits)
    wanted = looks.where(chance(sigmoid(logit + SHIFTED_CART_LOGIT * world.on_new_ground(looks)), len(looks), rng))
    return wanted.replace(kind=np.full(len(wanted), CART), at=wanted.at + rng.integers(10, 60, size=len(wanted)))


def _buy(carts: Events, *, world: World, rng: np.random.Generator) -> Events:
    probability = sigmoid(1.1 + SHIFTED_PURCHASE_LOGIT * world.on_new_ground(carts))
    bought = carts.where(chance(probability, len(carts), rng))
    return bought.replace(kind=np.full(len(bought), PURCHASE), at=bought.at + rng.integers(60, 600, size=len(bought)))


def _reorder(purchases: Events, *, world: World, num_visits: int, rng: np.random.Generator) -> Events:
    """What gets used up is bought again two or three weeks later, without looking around."""
    used_up = purchases.where(world.catalogue.is_consumable[purchases.item] & chance(REORDERS, len(purchases), rng))
    first, last = (days * SECONDS_PER_DAY for days in REORDER_AFTER_DAYS)
    at = used_up.at + rng.integers(first, last, size=len(used_up))
    return used_up.replace(at=at, visit=num_visits + np.arange(len(used_up)))


def _judge(known: Events, *, world: World, rng: np.random.Generator) -> Events:
    """One judgement per user and item, days after it is first bought or met again: words only for what was bought here."""
    first = np.unique(known.user * len(world.catalogue) + known.item, return_index=True)[1]
    met = known.where(np.sort(first))
    judged = met.where(chance(GIVES_FEEDBACK * world.population.talkativeness[met.user], len(met), rng))
    earliest, latest = (int(days * SECONDS_PER_DAY) for days in FEEDBACK_AFTER_DAYS)
    kind = np.where((judged.kind == PURCHASE) & chance(WRITES_WORDS, len(judged), rng), REVIEW, RATING)
    at = judged.at + rng.integers(earliest, latest, size=len(judged))
    return judged.replace(kind=kind, at=at, visit=np.full(len(judged), -1), stars=_stars(judged, world, rng).astype(np.int64))


def _stars(judged: Events, world: World, rng: np.random.Generator) -> Floats:
    """1 to 5, by quality, fit, the judge's leniency and chance."""
    expected = 3.9 + 0.5 * world.catalogue.quality[judged.item] + 0.3 * world.fit(judged)
    expected += 0.2 * world.population.leniency[judged.user] + SHIFTED_STARS * world.on_new_ground(judged)
    return np.clip(np.rint(expected + 0.9 * rng.standard_normal(len(judged))), 1, 5)


def _search(visits: Visits, *, looks: Events, world: World, rng: np.random.Generator) -> Events:
    """Some visits begin with a search; `item` is the first thing looked at, which the words may name."""
    first_look = looks.where(np.unique(looks.visit, return_index=True)[1])
    first_look = first_look.replace(theme=visits.theme)
    searched = chance(SEARCHES + (SHIFTED_SEARCHES - SEARCHES) * world.on_new_ground(first_look), len(visits), rng)
    found = first_look.where(searched)
    return found.replace(kind=np.full(len(found), SEARCH), at=found.at - rng.integers(5, 40, size=len(found)))
