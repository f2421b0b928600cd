"""How sure it is that words are a name and not just words: an estimate in [0, 1] for every place a name stands.

Rules, not a model: each line says which sign counts how much, and was set by hand on half of the films of
`benchmarks/knowledge.py`. How often a word is lower case, and in how many texts it stands against how many
items bear the name, is counted on the texts at hand ("keyphraseness", Mihalcea and Csomai, "Wikify!", CIKM 2007).
Shapes: N names, M matches.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ml.ids import BoolArray, IntArray
from ml.knowledge.surroundings import CUES, Seen, has_content
from ml.words.chinese import word_frequencies
from ml.words.stream import WordStream

Floats = npt.NDArray[np.float64]

QUOTED, CUED = 0.97, 0.95
# Two words of weight, both capitals: hardly ever chance.
FULL_NAME, ARTICLE_AND_WORD, SINGLE, SINGLE_AT_START = 0.95, 0.8, 0.75, 0.35
IN_LONGER_NAME, MISALIGNED, COMMON_WORD = 0.3, 0.25, 0.3
# By number of Han characters: names of people and places; titles, which are made of ordinary words.
HAN_NAME = np.array([0.0, 0.0, 0.7, 0.85, 0.93, 0.95])
HAN_TITLE = np.array([0.0, 0.0, 0.15, 0.3, 0.5, 0.75])
# Occurrences in jieba's 60 million words from which a word is a common one: names of people stay below, titles are often idioms.
COMMON_FREQUENCY, COMMON_TITLE = 300, 1
# Texts in which a name of one bearer may stand before it looks like a word; more bearers allow more.
USUAL_TEXTS, TEXTS_PER_ITEM = 1.0, 1.0


@dataclass(frozen=True)
class NameFacts:
    """What a name is, wherever it stands; shape [N] each."""

    is_han_N: BoolArray
    is_title_N: BoolArray
    is_common_N: BoolArray
    num_words_N: IntArray
    num_content_N: IntArray
    num_items_N: IntArray


def name_facts(names: WordStream, *, is_title_N: BoolArray, num_items_N: IntArray) -> NameFacts:
    """Facts of names given as one text each; `is_title_N`: the name of items alone."""
    num_names = len(num_items_N)

    def count(flag_T: npt.NDArray[np.bool_]) -> IntArray:
        return np.bincount(names.text_T, weights=flag_T, minlength=num_names).astype(np.int64)

    content_T = has_content(names)
    num_words_N, num_han_N = count(np.ones(len(names), dtype=np.bool_)), count(names.is_han_T)
    is_han_N = (num_han_N >= 2) & (2 * num_han_N >= num_words_N)
    return NameFacts(
        is_han_N, is_title_N, _common(names, is_han_N=is_han_N, is_title_N=is_title_N), num_words_N, count(content_T), num_items_N
    )


def confidences(
    facts: NameFacts, *, seen: Seen, name_M: IntArray, text_M: IntArray, lower_share_N: Floats, cue_fits_M: BoolArray
) -> Floats:
    """The estimate for each match; 0 for English words written without the capitals of the name."""
    is_han_M = facts.is_han_N[name_M]
    plain_M = np.where(
        is_han_M, _chinese(facts, seen=seen, name_M=name_M), _english(facts, seen=seen, name_M=name_M, lower_N=lower_share_N)
    )
    plain_M *= _spread(facts, name_M=name_M, text_M=text_M, counted_M=seen.is_cased_M | is_han_M)
    plain_M = np.where(cue_fits_M & (plain_M >= 0.3), np.maximum(plain_M, CUED), plain_M)
    plain_M = np.where(seen.is_quoted_M, np.maximum(plain_M, QUOTED), plain_M)
    return np.where(seen.is_cased_M | is_han_M, plain_M, 0.0)


def _english(facts: NameFacts, *, seen: Seen, name_M: IntArray, lower_N: Floats) -> Floats:
    content_M = facts.num_content_N[name_M]
    single_M = np.where(seen.starts_sentence_M, SINGLE_AT_START, SINGLE) * (1 - lower_N[name_M])
    single_M = np.where(seen.in_longer_name_M, IN_LONGER_NAME * single_M, single_M)
    with_article_M = (facts.num_words_N[name_M] >= 2) & seen.is_fully_cased_M
    article_M = np.where(seen.in_longer_name_M, IN_LONGER_NAME, 1.0) * ARTICLE_AND_WORD * (1 - lower_N[name_M])
    found = np.where(content_M >= 2, FULL_NAME, np.where(with_article_M, article_M, single_M))
    # Stop words alone ("Her", "It") are names between quotation marks only.
    return np.where(content_M == 0, 0.0, found)


def _chinese(facts: NameFacts, *, seen: Seen, name_M: IntArray) -> Floats:
    length_M = np.minimum(facts.num_words_N[name_M], len(HAN_NAME) - 1)
    found = np.where(facts.is_title_N[name_M], HAN_TITLE[length_M], HAN_NAME[length_M])
    found = np.where(seen.is_aligned_M, found, MISALIGNED * found)
    found = np.where(seen.in_longer_name_M, IN_LONGER_NAME * found, found)
    rare_M = facts.num_items_N[name_M] < 5
    return np.where(facts.is_common_N[name_M] & rare_M, COMMON_WORD * found, found)


def _spread(facts: NameFacts, *, name_M: IntArray, text_M: IntArray, counted_M: BoolArray) -> Floats:
    """Below 1 for names of several full words less, for single words in more texts than their bearers explain; shape [M]."""
    pairs = np.unique(np.column_stack([name_M[counted_M], text_M[counted_M]]), axis=0)
    num_texts_N = np.bincount(pairs[:, 0], minlength=len(facts.num_items_N))
    usual_N = USUAL_TEXTS + TEXTS_PER_ITEM * facts.num_items_N
    share_N = np.minimum(1.0, usual_N / np.maximum(num_texts_N, 1))
    telling_N = (facts.num_content_N >= 2) & ~facts.is_han_N
    return np.where(telling_N, 1.0, share_N)[name_M]


def fitting_cues(cue_C: IntArray, *, kinds_C: pa.Array) -> BoolArray:
    """Whether each cue (a place in `CUES`, -1: none) says the kind the name stands for, shape [C]."""
    meant = pa.array([kind for _, kind in CUES]).take(pa.array(np.maximum(cue_C, 0)))
    fits: BoolArray = np.asarray(pc.equal(kinds_C, meant), dtype=np.bool_) & (cue_C >= 0)
    return fits


def _common(names: WordStream, *, is_han_N: BoolArray, is_title_N: BoolArray) -> BoolArray:
    """Chinese names that are ordinary words."""
    num_names = len(is_han_N)
    offsets = np.concatenate([[0], np.cumsum(np.bincount(names.text_T, minlength=num_names))]).astype(np.int32)
    written = pc.binary_join(pa.ListArray.from_arrays(pa.array(offsets), names.keys.take(pa.array(names.key_T))), "")
    common_N = np.zeros(num_names, dtype=np.bool_)
    if is_han_N.any():
        frequency = np.array(word_frequencies(written.filter(pa.array(is_han_N)).to_pylist()))
        common_N[is_han_N] = frequency >= np.where(is_title_N[is_han_N], COMMON_TITLE, COMMON_FREQUENCY)
    return common_N
