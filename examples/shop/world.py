"""The simulated shop before anything happens: what is sold, who comes, and who is drawn to what.

How the catalogue and the people are drawn is `catalogue` and `population`, what
people then do `visits` and `behaviour`. Array legend: U users, I items, N rows.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from examples.shop.arrays import Floats, Ints
from examples.shop.catalogue import Catalogue
from examples.shop.events import Events
from examples.shop.lexicon import Lexicon
from examples.shop.population import Population
from examples.shop.settings import SampleSettings

STYLE_PULL = 1.5
LOVED_BRAND = 3.0
SAME_CIRCLE = 5.0
# By how many bands the price is off, and for readers of English, of Chinese, of both: a listing in English, in Chinese.
PRICE_BAND_PULL = np.array([1.8, 1.0, 0.35])
LANGUAGE_PULL = np.array([[1.0, 0.08], [0.08, 1.0], [1.0, 1.0]])


@dataclass(frozen=True)
class World:
    """A catalogue and its people."""

    lexicon: Lexicon
    settings: SampleSettings
    catalogue: Catalogue
    population: Population

    @cached_property
    def taste_UI(self) -> Floats:
        """How well each item suits each user's taste, above 0, shape [U, I].

        What the shop's tags do not say: style, brand, circle, price band and language.
        """
        people, items = self.population, self.catalogue
        style_UI = np.exp(STYLE_PULL * people.styles_US)[:, items.style]
        brand_UI = np.where(people.loves_brand_UB, LOVED_BRAND, 1.0)[:, items.brand]
        circle_UI = np.where(people.in_circle_UC, SAME_CIRCLE, 1.0)[:, items.circle]
        price_UI = PRICE_BAND_PULL[np.abs(people.budget[:, None] - items.price_band)]
        taste_UI: Floats = style_UI * brand_UI * circle_UI * price_UI * LANGUAGE_PULL[people.reads][:, items.language]
        return taste_UI

    @cached_property
    def popularity_T(self) -> Floats:
        """How many people care about each theme, sums to 1, shape [T]."""
        popularity = np.array([theme.popularity for theme in self.lexicon.themes])
        return np.asarray(popularity / popularity.sum(), dtype=np.float64)

    def has_shifted(self, user: Ints, day: Ints) -> Floats:
        """1 where a user's taste has shifted by that day, else 0, in the shape the two broadcast to."""
        return np.asarray(self.population.is_shifted[user] & (day >= self.settings.shift_day), dtype=np.float64)

    def on_new_ground(self, events: Events) -> Floats:
        """1 where a shifted user acts on a season theme, else 0, shape [N]."""
        is_season = np.array([theme.is_season for theme in self.lexicon.themes])
        return np.asarray(self.has_shifted(events.user, events.day) * is_season[events.theme], dtype=np.float64)

    def fit(self, events: Events) -> Floats:
        """How well each event's item suits its user's taste, standardised over the rows, shape [N]."""
        taste = np.log(self.taste_UI[events.user, events.item])
        fit: Floats = (taste - taste.mean()) / taste.std() if len(taste) else taste
        return fit
