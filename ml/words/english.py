"""Light plural folding of English words, by rule, so that a word's key never depends on the other words.

An S-stemmer after Harman, "How effective is suffixing?" (JASIS 42(1), 1991), with the
words listed that it would cut wrongly. Nothing else is stemmed: interests keep readable names.
"""

import pyarrow as pa
import pyarrow.compute as pc

from ml.words.word_lists import load_words

# (which words, what is cut, what takes its place); the first that fits wins.
RULES = (
    (r"^.{2,}ies$", r"ies$", "y"),
    (r"(ss|x|ch|sh|o)es$", r"es$", ""),
    (r"^\p{Latin}.*[^sui]s$", r"s$", ""),
)


def fold_plurals(words: pa.Array) -> pa.Array:
    """Singular keys of lower-case words, shape [N]; short words and other scripts are returned as they are."""
    plain = pc.is_in(words, value_set=load_words("plain_plurals_en"))
    folded = pc.if_else(plain, _cut(words, r"s$", ""), words)
    settled = pc.or_(plain, pc.or_(pc.is_in(words, value_set=load_words("unchanged_en")), pc.less(pc.utf8_length(words), 4)))
    for pattern, ending, replacement in RULES:
        applies = pc.and_not(pc.match_substring_regex(words, pattern), settled)
        folded = pc.if_else(applies, _cut(words, ending, replacement), folded)
        settled = pc.or_(settled, applies)
    return folded


def _cut(words: pa.Array, ending: str, replacement: str) -> pa.Array:
    return pc.replace_substring_regex(words, pattern=ending, replacement=replacement)
