"""Reasons in words, in English and Chinese: templates, and filling them for many rows at once.

Every sentence claims only what its placeholders hold. A new kind of reason gets its
template here, in every language.
"""

from collections.abc import Mapping
from string import Formatter
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

Language = Literal["en", "zh", "auto"]

TEMPLATES: Mapping[str, Mapping[str, str]] = {
    "interest_as_in": {
        "en": 'Because you like {interest} (as in "{evidence}"), and this item is about {interest}',
        "zh": "因为你喜欢{interest}（比如“{evidence}”），而它也与{interest}有关",
    },
    "interest": {
        "en": "Because you like {interest}, and this item is about {interest}",
        "zh": "因为你喜欢{interest}，而它也与{interest}有关",
    },
    "entity": {
        "en": 'Because you liked "{liked}": same {relation}, {entity}',
        "zh": "因为你喜欢“{liked}”：{relation}同为{entity}",
    },
    "about": {
        "en": 'Because you liked "{liked}": both are about {interest}',
        "zh": "因为你喜欢“{liked}”：两者都与{interest}有关",
    },
    "link": {
        "en": 'Because you liked "{liked}", which is linked to this item ({relation})',
        "zh": "因为你喜欢“{liked}”，它与此相关（{relation}）",
    },
    "others": {
        "en": 'Liked by {number} of the people who liked "{liked}", as you did',
        "zh": "和你一样喜欢“{liked}”的人中，有{number}人也喜欢它",
    },
    "own_words": {"en": "Close in meaning to what you wrote", "zh": "与你写过的内容意思相近"},
    "popular": {"en": "Popular: liked by {number} so far", "zh": "热门：已有{number}人喜欢"},
    "popular_lately": {"en": "Popular in the last 28 days", "zh": "近 28 天受欢迎"},
    "popular_of_these": {"en": "Popular among what you asked for in the last 28 days", "zh": "近 28 天在你所选范围内受欢迎"},
    "new": {"en": "New here: nobody has liked it yet", "zh": "新品：还没有人喜欢过"},
    "discovery": {"en": "Something different to try", "zh": "换个口味试试"},
    "query_interest": {
        "en": "About {interest}, which is close to what you asked for",
        "zh": "与{interest}有关，接近你要找的内容",
    },
    "query_named": {
        "en": "{relation}: {node}, which you named",
        "zh": "{relation}：{node}，你提到了它",
    },
    "query_near": {
        "en": "{relation}: {node}, which is close to what you asked for",
        "zh": "{relation}：{node}，接近你要找的内容",
    },
    "query_named_path": {
        "en": "{relation}: {node}, linked to {start}, which you named",
        "zh": "{relation}：{node}，它与你提到的{start}相关",
    },
    "query_near_path": {
        "en": "{relation}: {node}, linked to {start}, which is close to what you asked for",
        "zh": "{relation}：{node}，它与{start}相关，后者接近你要找的内容",
    },
    "query_words": {"en": "Found by what you wrote: {words}", "zh": "按你说的找到：{words}"},
    "query": {"en": "Close in meaning to what you asked for", "zh": "与你要找的内容意思相近"},
}

_LONGEST_NAME = 80


def fill(name: str, *, is_chinese: pa.Array, **values: pa.Array) -> pa.Array:
    """Template `name` with its placeholders filled, one sentence per row of `is_chinese`.

    Values are string columns of the same length; long names are cut.
    """
    shortened = {placeholder: _shorten(column) for placeholder, column in values.items()}
    english, chinese = (_fill_one(TEMPLATES[name][language], rows=len(is_chinese), values=shortened) for language in ("en", "zh"))
    return pc.if_else(is_chinese, chinese, english)


def sentence(name: str, *, in_chinese: bool, **values: str) -> str:
    """Template `name` with its placeholders filled, of one row: what `fill` gives, without its detour over columns."""
    return TEMPLATES[name]["zh" if in_chinese else "en"].format_map({key: _shortened(value) for key, value in values.items()})


def is_chinese(texts: pa.Array, *, language: Language) -> pa.Array:
    """Which rows to answer in Chinese: all, none, or (auto) those whose text holds a Chinese character."""
    if language == "auto":
        return pc.fill_null(pc.match_substring_regex(texts, r"\p{Han}"), False)
    return pa.repeat(pa.scalar(language == "zh"), len(texts))


def _fill_one(template: str, *, rows: int, values: Mapping[str, pa.Array]) -> pa.Array:
    parts: list[pa.Array] = []
    for literal, placeholder, _, _ in Formatter().parse(template):
        parts.append(pa.repeat(pa.scalar(literal), rows))
        if placeholder is not None:
            parts.append(values[placeholder])
    return pc.binary_join_element_wise(*parts, "")


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST_NAME else text[: _LONGEST_NAME - 1] + "…"


def _shorten(column: pa.Array) -> pa.Array:
    is_long = pc.greater(pc.utf8_length(column), _LONGEST_NAME)
    cut = pc.binary_join_element_wise(pc.utf8_slice_codeunits(column, 0, _LONGEST_NAME - 1), "…", "")
    return pc.if_else(is_long, cut, column)
