"""The lists of words in `lists/*.txt`, read once.

`stop_en` and `stop_zh` carry no interest; `companions_en` mean little alone; `unchanged_en` look like plurals and are none;
`plain_plurals_en` lose only their s, whatever the rules of `ml.words.english` say; `reason_*` may stand in a
reason that a language model words, `unsaid_*` (denials, numbers) may not.
"""

from functools import lru_cache
from importlib import resources

import pyarrow as pa


@lru_cache
def load_words(name: str) -> pa.Array:
    """The words of a list in order of spelling, string, shape [N]."""
    text = (resources.files("ml.words") / "lists" / f"{name}.txt").read_text(encoding="utf-8")
    return pa.array(sorted(set(text.split())), pa.string())
