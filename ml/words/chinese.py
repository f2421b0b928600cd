"""Chinese word segmentation by jieba, without its logging or shared cache file.

Nothing here knows stop words or phrases; see `ml.words.tokens`.
"""

import logging
import tempfile
import warnings
from collections.abc import Sequence
from functools import lru_cache

with warnings.catch_warnings():
    # jieba 0.42 imports pkg_resources, whose deprecation is no news to our users.
    warnings.simplefilter("ignore")
    import jieba


@lru_cache(maxsize=1)
def _tokenizer() -> jieba.Tokenizer:
    jieba.setLogLevel(logging.WARNING)
    tokenizer = jieba.Tokenizer()
    # jieba unmarshals whatever lies at <tmp>/jieba.cache; a folder of our own, gone at once, cannot be tampered with.
    with tempfile.TemporaryDirectory(prefix="jieba-") as directory:
        tokenizer.tmp_dir = directory
        tokenizer.initialize()
    return tokenizer


def segment_chinese(runs: Sequence[str]) -> list[list[str]]:
    """Words of each run of Han characters, in order; joined again they give the run."""
    if not runs:
        return []
    tokenizer = _tokenizer()
    return [tokenizer.lcut(run) for run in runs]


def word_frequencies(words: Sequence[str]) -> list[int]:
    """How often each word stands in the corpus jieba's dictionary was counted on (0: it does not know it)."""
    frequencies = _tokenizer().FREQ
    return [frequencies.get(word) or 0 for word in words]
