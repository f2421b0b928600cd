"""Which items the shop sells: their facts as arrays, one position per item.

Words made of these facts are `item_texts`; who likes them is `population`.
Array legend: I items, T themes.
"""

from dataclasses import dataclass

import numpy as np

from examples.shop.arrays import Bools, Floats, Ints, zipf_weights
from examples.shop.lexicon import CHINESE, ENGLISH, Lexicon
from examples.shop.settings import SampleSettings

CHINESE_SHARE = 1 / 3
SHARE_BEFORE_START = 0.8
OLDEST_DAY = -300
# Word of mouth that no text mentions: items of a circle are bought by people of that circle.
NUM_CIRCLES = 8
STYLE_FOLLOWS_BRAND = 0.85
PRICE_BANDS = ("budget", "mid", "premium")
POPULARITY_EXPONENT = 0.55


@dataclass(frozen=True)
class Catalogue:
    """Facts of every item; arrays of shape [I] unless their suffix says otherwise."""

    product: Ints
    material: Ints
    brand: Ints
    line: Ints
    colour: Ints
    style: Ints
    circle: Ints
    language: Ints
    price: Floats
    price_band: Ints
    quality: Floats
    appeal: Floats
    created_at: Ints
    themes_IT: Floats
    category: Ints
    is_consumable: Bools

    def __len__(self) -> int:
        return len(self.product)


def build_catalogue(lexicon: Lexicon, *, settings: SampleSettings, rng: np.random.Generator) -> Catalogue:
    """Draw `settings.num_items` items. Times are seconds from the first day's midnight."""
    num_items = settings.num_items
    product = _spread_products(lexicon, num_items, rng)
    brand = _pick_brands(lexicon, product, rng)
    category = np.array([lexicon.products[kind].category for kind in product])
    band = rng.choice(3, size=num_items, p=[0.3, 0.45, 0.25])
    quality = rng.standard_normal(num_items)
    follows = rng.random(num_items) < STYLE_FOLLOWS_BRAND
    brand_style = np.array([lexicon.brands[maker].style for maker in brand])
    return Catalogue(
        product=product,
        material=np.array([rng.integers(len(lexicon.products[kind].materials)) for kind in product]),
        brand=brand,
        # Items of one kind are called differently, so that titles do not repeat.
        line=(_number_within(product) + 5 * product) % len(lexicon.lines),
        colour=rng.integers(len(lexicon.colours), size=num_items),
        style=np.where(follows, brand_style, rng.integers(len(lexicon.styles), size=num_items)),
        circle=rng.integers(NUM_CIRCLES, size=num_items),
        language=np.where(rng.random(num_items) < CHINESE_SHARE, CHINESE, ENGLISH),
        price=_prices(lexicon, category, band, rng),
        price_band=band,
        quality=quality,
        appeal=rng.permutation(zipf_weights(num_items, exponent=POPULARITY_EXPONENT)) * np.exp(0.4 * quality),
        created_at=_arrivals(num_items, settings.num_days, rng),
        themes_IT=_themes(lexicon, product, rng),
        category=category,
        is_consumable=np.array([lexicon.categories[shelf].is_consumable for shelf in category]),
    )


def _spread_products(lexicon: Lexicon, num_items: int, rng: np.random.Generator) -> Ints:
    # The first product of every category, then the second: small catalogues keep every theme.
    order = np.argsort(_number_within(np.array([product.category for product in lexicon.products])), kind="stable")
    spread: Ints = rng.permutation(np.resize(order, num_items))
    return spread


def _number_within(groups_N: Ints) -> Ints:
    """0, 1, 2, ... within each group, in order of position, shape [N]."""
    order = np.argsort(groups_N, kind="stable")
    starts = np.searchsorted(groups_N[order], groups_N[order])
    numbers = np.empty(len(groups_N), dtype=np.int64)
    numbers[order] = np.arange(len(groups_N)) - starts
    return numbers


def _pick_brands(lexicon: Lexicon, product_I: Ints, rng: np.random.Generator) -> Ints:
    departments = [lexicon.categories[lexicon.products[kind].category].department for kind in product_I]
    makers = {name: [at for at, brand in enumerate(lexicon.brands) if name in brand.departments] for name in sorted(set(departments))}
    return np.array([rng.choice(makers[name]) for name in departments])


def _prices(lexicon: Lexicon, category_I: Ints, band_I: Ints, rng: np.random.Generator) -> Floats:
    middling = np.array([lexicon.categories[shelf].price for shelf in category_I])
    spread = np.exp(0.15 * rng.standard_normal(len(category_I)))
    prices: Floats = np.round(middling * np.array([0.6, 1.0, 1.9])[band_I] * spread, 2)
    return prices


def _arrivals(num_items: int, num_days: int, rng: np.random.Generator) -> Ints:
    old = rng.random(num_items) < SHARE_BEFORE_START
    day = np.where(old, rng.integers(OLDEST_DAY, 0, size=num_items), rng.integers(0, num_days - 1, size=num_items))
    return day * 86_400 + rng.integers(86_400, size=num_items)


def _themes(lexicon: Lexicon, product_I: Ints, rng: np.random.Generator) -> Floats:
    """Weights of each item's themes, rows sum to 1, shape [I, T]; a product's main theme leads twice in three."""
    names = [theme.name for theme in lexicon.themes]
    themes_IT = np.zeros((len(product_I), len(names)))
    swapped, alone = rng.random(len(product_I)) < 0.35, rng.random(len(product_I)) < 0.45
    for item, kind in enumerate(product_I):
        serves = [names.index(name) for name in lexicon.products[kind].themes]
        if len(serves) == 1:
            themes_IT[item, serves[0]] = 1.0
            continue
        lead, second = (serves[1], serves[0]) if swapped[item] else (serves[0], serves[1])
        themes_IT[item, lead], themes_IT[item, second] = (1.0, 0.0) if alone[item] else (0.65, 0.35)
    return themes_IT
