"""Which language each text is in, told by its letters: English (or another Latin one), Chinese, both, or neither."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ml.words.texts import whole_texts

ENGLISH, CHINESE, MIXED, OTHER = "en", "zh", "mixed", "other"
# A word of one language in a text of the other does not make it mixed. A Han sign says about as much as two letters or more.
MIN_SHARE = 0.1
LETTERS_PER_HAN = 3.0


def languages(texts: pa.Array | pa.ChunkedArray) -> pa.Array:
    """`en`, `zh`, `mixed` or `other` (no letter of either script) of each text, string, shape [N]; null is the empty text."""
    text = whole_texts(texts)
    han = np.asarray(pc.count_substring_regex(text, pattern=r"\p{Han}"), dtype=np.float64) * LETTERS_PER_HAN
    latin = np.asarray(pc.count_substring_regex(text, pattern=r"\p{Latin}"), dtype=np.float64)
    share = han / np.maximum(han + latin, 1.0)
    found = np.where(share < MIN_SHARE, ENGLISH, np.where(share > 1 - MIN_SHARE, CHINESE, MIXED))
    return pa.array(np.where(han + latin == 0, OTHER, found), pa.string())


def language_shares(texts: pa.Array | pa.ChunkedArray) -> dict[str, float]:
    """The share of texts in each language there is, largest first."""
    counted = languages(texts).value_counts()
    shares = {row["values"]: row["counts"] / len(texts) for row in counted.to_pylist()}
    return dict(sorted(shares.items(), key=lambda entry: (-entry[1], entry[0])))
