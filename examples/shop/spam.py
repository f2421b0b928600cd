"""Paid praise: bursts of five stars on a few poor items, by accounts that do nothing else.

Who is a spam account is drawn in `population`; the near-identical texts are in
`user_texts`.
"""

from dataclasses import dataclass

import numpy as np

from examples.shop.arrays import SECONDS_PER_DAY, Ints
from examples.shop.events import REVIEW, Events, concatenate
from examples.shop.world import World

ACCOUNTS_PER_CAMPAIGN = 2
TARGETS = 4
TEXTS_PER_TARGET = 2
BURST_SECONDS = 3600
# Campaigns lie well inside the quiet part, so that they are not taken for the shift.
EARLIEST_SHARE, LATEST_SHARE = 0.3, 0.85


@dataclass(frozen=True)
class Campaign:
    """Some accounts, some items, one hour."""

    users: Ints
    items: Ints
    starts_at: int


def plan_campaigns(world: World, *, rng: np.random.Generator) -> list[Campaign]:
    """Divide the spam accounts into campaigns of up to two, each for items below average on sale by then."""
    spammers = np.flatnonzero(world.population.is_spammer)
    earliest, latest = (int(share * world.settings.shift_day) for share in (EARLIEST_SHARE, LATEST_SHARE))
    campaigns = []
    for start in range(0, len(spammers), ACCOUNTS_PER_CAMPAIGN):
        starts_at = int(rng.integers(earliest, max(latest, earliest + 1))) * SECONDS_PER_DAY + int(rng.integers(3 * 3600, 20 * 3600))
        poor = np.flatnonzero((world.catalogue.quality < 0) & (world.catalogue.created_at < starts_at))
        items = np.sort(rng.choice(poor, size=min(TARGETS, len(poor)), replace=False))
        campaigns.append(Campaign(spammers[start : start + ACCOUNTS_PER_CAMPAIGN], items, starts_at))
    return campaigns


def simulate_spam(campaigns: list[Campaign], *, catalogue_themes: Ints, rng: np.random.Generator) -> Events:
    """The reviews of all campaigns, by time. `catalogue_themes` is each item's main theme, shape [I]."""
    return concatenate([_burst(campaign, catalogue_themes, rng) for campaign in campaigns]).by_time()


def _burst(campaign: Campaign, catalogue_themes: Ints, rng: np.random.Generator) -> Events:
    user, item = (axis.ravel() for axis in np.meshgrid(campaign.users, np.repeat(campaign.items, TEXTS_PER_TARGET), indexing="ij"))
    return Events(
        user=user,
        item=item,
        kind=np.full(len(user), REVIEW),
        at=campaign.starts_at + rng.integers(BURST_SECONDS, size=len(user)),
        visit=np.full(len(user), -1),
        theme=catalogue_themes[item],
        stars=np.full(len(user), 5),
    )
