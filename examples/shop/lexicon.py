"""The words and facts the shop is made of, read from `lexicon/*.yaml`.

Typed and frozen; sampling from them is `catalogue`, making sentences of them is
`item_texts` and `user_texts`.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

LANGUAGES = ("en", "zh")
ENGLISH, CHINESE = 0, 1

# A text or a list of texts by language code.
Words = dict[str, str]
Sentences = dict[str, tuple[str, ...]]


@dataclass(frozen=True)
class Theme:
    """Something people are interested in; fields as in `themes.yaml`."""

    name: str
    popularity: float
    is_season: bool
    companions: tuple[str, ...]
    tags: Sentences
    keywords: Sentences
    scenes: Sentences
    moments: Sentences
    searches: Sentences


@dataclass(frozen=True)
class Category:
    """A shelf of the shop."""

    path: str
    department: str
    price: float
    is_consumable: bool
    aspect: str
    features: Sentences


@dataclass(frozen=True)
class Product:
    """A kind of thing: its names, its category, the themes it serves (main one first), what it is made of."""

    names: Words
    category: int
    themes: tuple[str, ...]
    materials: tuple[Words, ...]


@dataclass(frozen=True)
class Style:
    """A taste that runs across departments."""

    name: str
    closings: Sentences


@dataclass(frozen=True)
class Brand:
    """An invented maker."""

    names: Words
    country: str
    style: int
    departments: frozenset[str]


@dataclass(frozen=True)
class Lexicon:
    """Everything, in file order; categories are referred to by position."""

    themes: tuple[Theme, ...]
    categories: tuple[Category, ...]
    products: tuple[Product, ...]
    styles: tuple[Style, ...]
    brands: tuple[Brand, ...]
    countries: dict[str, dict[str, str]]
    lines: tuple[Words, ...]
    colours: tuple[Words, ...]
    phrases: dict[str, Any]

    def theme_index(self, name: str) -> int:
        """Position of a theme."""
        return [theme.name for theme in self.themes].index(name)


@cache
def load_lexicon() -> Lexicon:
    """Read the four files beside this module."""
    brands = _read("brands")
    categories, products = _catalogue(_read("catalogue"))
    styles = tuple(Style(style["id"], _sentences(style["closings"])) for style in brands["styles"])
    return Lexicon(
        themes=tuple(_theme(row) for row in _read("themes")),
        categories=categories,
        products=products,
        styles=styles,
        brands=tuple(_brand(row, [style.name for style in styles]) for row in brands["brands"]),
        countries=brands["countries"],
        lines=tuple(_words(row) for row in brands["lines"]),
        colours=tuple(_words(row) for row in brands["colours"]),
        phrases=_read("phrases"),
    )


def _read(name: str) -> Any:
    return yaml.safe_load((Path(__file__).parent / "lexicon" / f"{name}.yaml").read_text(encoding="utf-8"))


def _words(pair: list[str]) -> Words:
    return dict(zip(LANGUAGES, pair, strict=True))


def _sentences(by_language: dict[str, list[str]]) -> Sentences:
    return {language: tuple(by_language[language]) for language in LANGUAGES}


def _theme(row: dict[str, Any]) -> Theme:
    texts = {part: _sentences(row[part]) for part in ("tags", "keywords", "scenes", "moments", "searches")}
    return Theme(row["id"], row["popularity"], row.get("season", False), tuple(row["companions"]), **texts)


def _catalogue(departments: list[dict[str, Any]]) -> tuple[tuple[Category, ...], tuple[Product, ...]]:
    rows = [(department["department"], row) for department in departments for row in department["categories"]]
    categories = tuple(_category(department, row) for department, row in rows)
    products = tuple(_product(position, row["materials"], *fields) for position, (_, row) in enumerate(rows) for fields in row["products"])
    return categories, products


def _category(department: str, row: dict[str, Any]) -> Category:
    path = f"{department} > {row['name']}"
    return Category(path, department, row["price"], row.get("consumable", False), row["aspect"], _sentences(row["features"]))


def _product(  # noqa: PLR0917
    category: int, materials: list[list[str]], english: str, chinese: str, themes: list[str], positions: list[int] | None = None
) -> Product:
    chosen = materials if positions is None else [materials[position] for position in positions]
    return Product(_words([english, chinese]), category, tuple(themes), tuple(_words(pair) for pair in chosen))


def _brand(row: list[Any], styles: list[str]) -> Brand:
    english, chinese, country, style, departments = row
    return Brand(_words([english, chinese]), country, styles.index(style), frozenset(departments))
