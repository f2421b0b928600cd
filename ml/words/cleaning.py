"""Text as people wrote it, without what machines left in it: markup, invisible signs, endless repetition.

For what reads meaning from raw text; nothing is stemmed, lowered or cut into words here (see `ml.words.tokens`).
"""

import html
import re
import zlib
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ml.ids import BoolArray
from ml.words.texts import whole_texts

# Longer texts are dumps, not descriptions.
MAX_CHARACTERS = 100_000
# A sign may follow itself so often ("soooo good!!!!"), a word or phrase likewise.
MAX_REPEATED_SIGNS = 8
MAX_REPEATED_PHRASES = 4

# What is hidden with all that it holds, and how it ends.
_HIDDEN_MARKUP = (
    (re.compile(r"(?is)<(?:script|style)\b.*?</(?:script|style)\s*>"), re.compile(r"(?i)</(?:script|style)\s*>")),
    (re.compile(r"(?s)<!--.*?-->"), re.compile(r"-->")),
)
# Tags; "a < b" and "<3" are none.
_BREAKING_MARKUP = r"(?i)</?(br|p|div|li|ul|ol|tr|table|h[1-6]|blockquote)\b[^<>]{0,1000}>"
_MARKUP = r"</?[A-Za-z][A-Za-z0-9:-]*(\s[^<>]{0,1000})?/?>"
# Soft hyphen, Mongolian separator, zero-width space, marks, embeddings, overrides and isolates of direction, word joiner and invisible
# operators, BOM, tags. Joiner and non-joiner stay: Persian and Indic words, and emoji, are spelled with them.
_INVISIBLE = "[\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\U000e0001-\U000e007f]"
# Control characters but tab, line feed and carriage return.
_CONTROL = "[\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f-\\x9f]"
_REPEATED_SIGN = re.compile(rf"(\S)\1{{{MAX_REPEATED_SIGNS},}}")
# Text that packs into less than this share of its bytes says the same again and again; 1,000 characters of prose need about half.
_REPETITIVE = 0.15
_REPEATED_PHRASE = re.compile(rf"(?s)(\S(?:.{{0,60}}?\S)?\s*)\1{{{MAX_REPEATED_PHRASES},}}")


def clean_texts(texts: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Readable NFKC text of each row, string, shape [N]; null is the empty text.

    Markup is dropped and its entities are read, invisible and control signs go, white space is one space or one line
    feed, what repeats more often than anybody means it is shortened, and at most `MAX_CHARACTERS` stay.
    """
    text = pc.utf8_slice_codeunits(whole_texts(texts), 0, MAX_CHARACTERS)
    text = _where(text, r"[<&]", _without_markup)
    text = pc.utf8_normalize(text, form="NFKC")
    for pattern, replacement in (
        (_CONTROL, ""),
        (_INVISIBLE, ""),
        (r"[^\S\n]+", " "),
        (r" ?\n\s*", "\n"),
    ):
        text = pc.replace_substring_regex(text, pattern=pattern, replacement=replacement)
    text = _where(text, rf"(?s).{{{MAX_REPEATED_SIGNS + 1}}}", _without_repeated_signs)
    return pc.utf8_trim_whitespace(_where(text, r"(?s).{100}", _without_repeated_phrases))


def are_capped(texts: pa.Array | pa.ChunkedArray) -> BoolArray:
    """Which texts are longer than what `clean_texts` reads of them, shape [N]."""
    return np.asarray(pc.greater(pc.utf8_length(whole_texts(texts)), MAX_CHARACTERS), dtype=np.bool_)


def clean_column(table: pa.Table, name: str) -> pa.Table:
    """The table with one column of texts cleaned; a null stays null."""
    column = table.column(name)
    cleaned = pc.if_else(pc.is_null(column), pa.scalar(None, pa.string()), pa.chunked_array([clean_texts(column)], pa.string()))
    return table.set_column(table.schema.get_field_index(name), table.schema.field(name), cleaned)


def _where(text: pa.Array, pattern: str, change: Callable[[str], str]) -> pa.Array:
    """`change`d where the pattern occurs: most rows have nothing to change."""
    found = pc.match_substring_regex(text, pattern)
    changed = pa.array([change(one) for one in text.filter(found).to_pylist()], pa.string())
    return pc.replace_with_mask(text, found, changed)


def _without_markup(text: str) -> str:
    for hidden, end in _HIDDEN_MARKUP:
        # Behind the last end nothing is hidden, and looking for it from every start would take for ever.
        last = max((found.end() for found in end.finditer(text)), default=0)
        text = hidden.sub("\n", text[:last]) + text[last:]
    # Twice, for markup that was itself escaped.
    for _ in range(2):
        for pattern, replacement in ((_BREAKING_MARKUP, "\n"), (_MARKUP, "")):
            text = re.sub(pattern, replacement, text)
        text = html.unescape(text)
    return text


def _without_repeated_signs(text: str) -> str:
    return _REPEATED_SIGN.sub(lambda found: found[1] * MAX_REPEATED_SIGNS, text)


def _without_repeated_phrases(text: str) -> str:
    spelled = text.encode()
    # Asked first: looking for repeats in prose costs a hundred times as much.
    if len(zlib.compress(spelled, 1)) > _REPETITIVE * len(spelled):
        return text
    return _REPEATED_PHRASE.sub(lambda found: found[1] * MAX_REPEATED_PHRASES, text)
