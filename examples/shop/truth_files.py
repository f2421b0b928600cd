"""The truth as csv files: who likes what, who shifted, who is a spammer, which rows are flawed.

Reading them back is `truth`, what each column means `docs/sample.md`.
"""

from collections.abc import Iterator, Sequence
from datetime import timedelta

import numpy as np

from examples.shop.events import Events
from examples.shop.flaws import Flaw
from examples.shop.ids import item_id, user_id
from examples.shop.landing import LandingFile, csv_file
from examples.shop.lexicon import LANGUAGES
from examples.shop.spam import Campaign
from examples.shop.world import World

Rows = Iterator[tuple[object, ...]]


def truth_files(world: World, *, events: Events, campaigns: Sequence[Campaign], flaws: Sequence[Flaw]) -> list[LandingFile]:
    """All files below `truth/`."""
    return [
        csv_file("truth/themes.csv", ("theme", "kind", "language", "term"), _terms(world)),
        csv_file("truth/user_interests.csv", ("user_id", "theme", "weight"), _user_interests(world)),
        csv_file("truth/shifted_users.csv", ("user_id", "shifted_on", "theme", "weight_before", "weight_after"), _shifts(world, events)),
        csv_file("truth/item_themes.csv", ("item_id", "theme", "weight"), _item_themes(world)),
        csv_file("truth/user_tastes.csv", ("user_id", "kind", "name"), _user_tastes(world)),
        csv_file("truth/item_tastes.csv", ("item_id", "kind", "name"), _item_tastes(world)),
        csv_file("truth/spam_users.csv", ("user_id", "day", "item_id"), _spam(world, campaigns)),
        csv_file("truth/broken_rows.csv", ("file", "row", "what"), _flaws(flaws, is_broken=True)),
        csv_file("truth/odd_rows.csv", ("file", "row", "what"), _flaws(flaws, is_broken=False)),
    ]


def _terms(world: World) -> Rows:
    """Words that stand for each theme; a category stands for one if that leads most of its products."""
    for theme in world.lexicon.themes:
        for kind, words in (("tag", theme.tags), ("keyword", theme.keywords)):
            yield from ((theme.name, kind, language, term) for language in LANGUAGES for term in words[language])
        led = [product for product in world.lexicon.products if product.themes[0] == theme.name]
        yield from ((theme.name, "product", language, product.names[language]) for language in LANGUAGES for product in led)
        for number, category in enumerate(world.lexicon.categories):
            leaders = [product.themes[0] for product in world.lexicon.products if product.category == number]
            if 2 * leaders.count(theme.name) > len(leaders):
                yield (theme.name, "category", LANGUAGES[0], category.path.split(" > ")[1])


def _user_interests(world: World) -> Rows:
    honest_UT = np.where(world.population.is_spammer[:, None], 0.0, world.population.interests_UT)
    for user, theme in np.argwhere(honest_UT > 0):
        yield user_id(user), world.lexicon.themes[theme].name, f"{honest_UT[user, theme]:.4f}"


def _shifts(world: World, events: Events) -> Rows:
    """Every theme whose weight changed, a row each, of the users who came back to show it."""
    population, settings = world.population, world.settings
    came_back = np.isin(np.arange(len(population)), events.user[events.day >= settings.shift_day])
    before_UT, after_UT = population.interests_UT, population.shifted_interests_UT
    for user, theme in np.argwhere((population.is_shifted & came_back)[:, None] & (before_UT != after_UT)):
        weights = (f"{before_UT[user, theme]:.4f}", f"{after_UT[user, theme]:.4f}")
        yield user_id(user), settings.first_day + timedelta(days=settings.shift_day), world.lexicon.themes[theme].name, *weights


def _item_themes(world: World) -> Rows:
    for item, theme in np.argwhere(world.catalogue.themes_IT > 0):
        yield item_id(item), world.lexicon.themes[theme].name, f"{world.catalogue.themes_IT[item, theme]:.2f}"


def _user_tastes(world: World) -> Rows:
    population, lexicon = world.population, world.lexicon
    for user in range(len(population)):
        for style in np.argsort(-population.styles_US[user], kind="stable")[:2]:
            yield user_id(user), "style" if population.styles_US[user, style] == 1 else "second_style", lexicon.styles[style].name
        yield from (
            (user_id(user), "brand", lexicon.brands[brand].names["en"]) for brand in np.flatnonzero(population.loves_brand_UB[user])
        )
        yield from ((user_id(user), "circle", circle) for circle in np.flatnonzero(population.in_circle_UC[user]))


def _item_tastes(world: World) -> Rows:
    for item in range(len(world.catalogue)):
        yield item_id(item), "style", world.lexicon.styles[world.catalogue.style[item]].name
        yield item_id(item), "brand", world.lexicon.brands[world.catalogue.brand[item]].names["en"]
        yield item_id(item), "circle", world.catalogue.circle[item]


def _spam(world: World, campaigns: Sequence[Campaign]) -> Rows:
    """Every account with every item it praises."""
    for campaign in campaigns:
        day = world.settings.first_day + timedelta(seconds=campaign.starts_at)
        for user in campaign.users:
            yield from ((user_id(user), day, item_id(item)) for item in campaign.items)


def _flaws(flaws: Sequence[Flaw], *, is_broken: bool) -> Rows:
    yield from ((flaw.file, flaw.row, flaw.what) for flaw in flaws if flaw.is_broken == is_broken)
