"""What users write: reviews whose words agree with their stars, searches, and paid praise.

All words come from the lexicon; who writes when is `behaviour` and `spam`.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from examples.shop.catalogue import Catalogue
from examples.shop.events import REVIEW, SEARCH, Events
from examples.shop.item_texts import material_of, product_of
from examples.shop.lexicon import CHINESE, LANGUAGES, Lexicon
from examples.shop.population import LANGUAGES_READ
from examples.shop.world import World

MAX_ENGLISH_WORDS = 30
MAX_CHINESE_CHARACTERS = 60
GENERAL_REMARK = 0.25
SEARCHES_THEME = 0.55
MIDDLE = 3


def event_texts(events: Events, *, world: World, rng: np.random.Generator) -> list[str | None]:
    """The words of each event, None where there are none, shape [N]."""
    languages = _languages(events, world, rng)
    is_spam = world.population.is_spammer[events.user]
    texts: list[str | None] = [None] * len(events)
    for row in np.flatnonzero((events.kind == REVIEW) & ~is_spam):
        stars, item = int(events.stars[row]), int(events.item[row])
        texts[row] = _review(stars, item, language=languages[row], lexicon=world.lexicon, catalogue=world.catalogue, rng=rng)
    for row in np.flatnonzero((events.kind == REVIEW) & is_spam):
        pattern, words = world.lexicon.phrases["spam"][languages[row]]
        texts[row] = pattern.format(word=_pick(words, rng))
    for row in np.flatnonzero(events.kind == SEARCH):
        theme, item = int(events.theme[row]), int(events.item[row])
        texts[row] = _search(theme, item, language=languages[row], lexicon=world.lexicon, catalogue=world.catalogue, rng=rng)
    return texts


def _languages(events: Events, world: World, rng: np.random.Generator) -> list[str]:
    """The language each event's user writes in; who reads both writes either."""
    reads = world.population.reads[events.user]
    either = rng.integers(len(LANGUAGES), size=len(events))
    return [LANGUAGES[number] for number in np.where(reads == LANGUAGES_READ.index("both"), either, reads)]


def _review(stars: int, item: int, *, language: str, lexicon: Lexicon, catalogue: Catalogue, rng: np.random.Generator) -> str:
    product = product_of(lexicon, catalogue, item)
    aspect = lexicon.categories[product.category].aspect
    opening = _pick(lexicon.phrases["openings"][language][stars], rng)
    moment = _pick(lexicon.themes[lexicon.theme_index(product.themes[0])].moments[language], rng)
    remarks = _remarks(stars, aspect, phrases=lexicon.phrases, language=language, rng=rng)
    closing = _pick(lexicon.phrases["closings"][language][stars], rng)
    # Without the product's name in it a text needs the moment, or strangers would write the same one.
    sentences = [opening, *remarks, *([moment] if "{product}" not in opening or len(remarks) == 1 else []), closing]
    return _fitting([sentence.format(product=product.names[language]) for sentence in sentences], language, at_least=1 + len(remarks))


def _remarks(stars: int, aspect: str, *, phrases: dict[str, Any], language: str, rng: np.random.Generator) -> list[str]:
    """Praise, a complaint, or in the middle one of each, about different things lest they contradict."""
    topics = ["any", aspect] if rng.random() < GENERAL_REMARK else [aspect, "any"]
    banks = [phrases[bank][language] for bank, fits in (("praise", stars >= MIDDLE), ("complaint", stars <= MIDDLE)) if fits]
    return [_pick(bank[topic], rng) for bank, topic in zip(banks, topics, strict=False)]


def _fitting(sentences: list[str], language: str, *, at_least: int) -> str:
    """Join as many sentences as a short text holds, the first ones in any case."""
    kept = sentences[:at_least]
    for sentence in sentences[at_least:]:
        length = len("".join([*kept, sentence])) if language == LANGUAGES[CHINESE] else len(" ".join([*kept, sentence]).split())
        if length <= (MAX_CHINESE_CHARACTERS if language == LANGUAGES[CHINESE] else MAX_ENGLISH_WORDS):
            kept.append(sentence)
    return ("" if language == LANGUAGES[CHINESE] else " ").join(kept)


def _search(theme: int, item: int, *, language: str, lexicon: Lexicon, catalogue: Catalogue, rng: np.random.Generator) -> str:
    if rng.random() < SEARCHES_THEME:
        return _pick(lexicon.themes[theme].searches[language], rng)
    main_theme = lexicon.themes[int(np.argmax(catalogue.themes_IT[item]))]
    return _pick(lexicon.phrases["searches"][language], rng).format(
        product=product_of(lexicon, catalogue, item).names[language],
        brand=lexicon.brands[catalogue.brand[item]].names[language],
        material=material_of(lexicon, catalogue, item)[language],
        theme=main_theme.tags[language][0],
    )


def _pick(options: Sequence[str], rng: np.random.Generator) -> str:
    return options[int(rng.integers(len(options)))]
