"""Titles, descriptions, tags and attributes of items, in the item's language.

All words come from the lexicon; this module only chooses and fills in.
"""

import re
from dataclasses import dataclass

import numpy as np

from examples.shop.catalogue import PRICE_BANDS, Catalogue
from examples.shop.lexicon import CHINESE, ENGLISH, LANGUAGES, Lexicon, Product, Words

MAX_ENGLISH_WORDS = 50
UNTAGGED = 0.06
TAG_CHANCES = (0.85, 0.4, 0.3)
SECOND_THEME_TAG = 0.75
OTHER_TAG = 0.25


@dataclass(frozen=True)
class ItemWords:
    """What the catalogue says about one item."""

    title: str
    text: str
    tags: list[str]
    attributes: dict[str, str]


def item_words(lexicon: Lexicon, catalogue: Catalogue, *, rng: np.random.Generator) -> list[ItemWords]:
    """One entry per item, in position order."""
    return [_describe(lexicon, catalogue, item, rng) for item in range(len(catalogue))]


def product_of(lexicon: Lexicon, catalogue: Catalogue, item: int) -> Product:
    """What kind of thing an item is."""
    return lexicon.products[int(catalogue.product[item])]


def material_of(lexicon: Lexicon, catalogue: Catalogue, item: int) -> Words:
    """What an item is made of."""
    return product_of(lexicon, catalogue, item).materials[int(catalogue.material[item])]


def themes_of(catalogue: Catalogue, item: int) -> list[int]:
    """An item's themes, main one first."""
    order = np.argsort(-catalogue.themes_IT[item], kind="stable")
    return [int(theme) for theme in order[: np.count_nonzero(catalogue.themes_IT[item])]]


def _describe(lexicon: Lexicon, catalogue: Catalogue, item: int, rng: np.random.Generator) -> ItemWords:
    brand = lexicon.brands[catalogue.brand[item]]
    return ItemWords(
        title=_title(lexicon, catalogue, item),
        text=_text(lexicon, catalogue, item, rng),
        tags=_tags(lexicon, catalogue, item, rng),
        attributes={
            "brand": brand.names[LANGUAGES[ENGLISH]],
            "material": material_of(lexicon, catalogue, item)[LANGUAGES[ENGLISH]],
            "colour": lexicon.colours[catalogue.colour[item]][LANGUAGES[ENGLISH]],
            "price_band": PRICE_BANDS[catalogue.price_band[item]],
            "origin": brand.country,
        },
    )


def _title(lexicon: Lexicon, catalogue: Catalogue, item: int) -> str:
    language = LANGUAGES[catalogue.language[item]]
    brand, line = lexicon.brands[catalogue.brand[item]].names[language], lexicon.lines[catalogue.line[item]][language]
    material, product = material_of(lexicon, catalogue, item)[language], product_of(lexicon, catalogue, item).names[language]
    if catalogue.language[item] == CHINESE:
        return f"{brand}「{line}」{material}{product}"
    return f"{brand} {line} " + " ".join(word[:1].upper() + word[1:] for word in f"{material} {product}".split())


def _text(lexicon: Lexicon, catalogue: Catalogue, item: int, rng: np.random.Generator) -> str:
    """A sentence on the make, one per theme, one by the brand's style if there is room."""
    number = catalogue.language[item]
    language = LANGUAGES[number]
    banks = [
        lexicon.categories[catalogue.category[item]].features[language],
        *(lexicon.themes[theme].scenes[language] for theme in themes_of(catalogue, item)),
        lexicon.styles[catalogue.style[item]].closings[language],
    ]
    facts = _facts(lexicon, catalogue, item, language)
    sentences = [_capitalised(str(rng.choice(bank)).format(**facts)) for bank in banks]
    while number == ENGLISH and len(" ".join(sentences).split()) > MAX_ENGLISH_WORDS:
        sentences.pop()
    return "".join(sentences) if number == CHINESE else " ".join(sentences)


def _facts(lexicon: Lexicon, catalogue: Catalogue, item: int, language: str) -> dict[str, str]:
    brand = lexicon.brands[catalogue.brand[item]]
    return {
        "material": material_of(lexicon, catalogue, item)[language],
        "brand": brand.names[language],
        "colour": lexicon.colours[catalogue.colour[item]][language],
        "origin": lexicon.countries[brand.country]["zh"] if language == LANGUAGES[CHINESE] else _with_article(brand.country),
    }


def _with_article(country: str) -> str:
    return f"the {country}" if country.startswith("United") else country


def _capitalised(sentence: str) -> str:
    return re.sub(r"^[a-z]", lambda found: found[0].upper(), sentence)


def _tags(lexicon: Lexicon, catalogue: Catalogue, item: int, rng: np.random.Generator) -> list[str]:
    """Labels of the item's main theme and perhaps one of its second; some items have none, some carry one that says nothing."""
    if rng.random() < UNTAGGED:
        return []
    language = LANGUAGES[catalogue.language[item]]
    main, *others = themes_of(catalogue, item)
    offered = lexicon.themes[main].tags[language]
    tags = [tag for tag, probability in zip(offered, TAG_CHANCES, strict=True) if rng.random() < probability] or [offered[0]]
    tags += [lexicon.themes[theme].tags[language][0] for theme in others if rng.random() < SECOND_THEME_TAG]
    if rng.random() < OTHER_TAG:
        tags.append(str(rng.choice(lexicon.phrases["tags"][language])))
    return tags
