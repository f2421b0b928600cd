"""Semantic tokens of a catalogue as interest points, so that every item with a text has interests, also one nobody has seen.

Codes come from `ml.interests.growth`. Shapes: I items, N items with a text, C codes, T tokens.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import scipy.sparse as sp

from ml.config.pipeline import InterestConfig
from ml.ids import BoolArray, FloatArray, IntArray
from ml.interests.candidates import Candidates, candidates, interest_ids
from ml.interests.codebook import NO_CODE
from ml.interests.growth import Codes, replay
from ml.interests.phrases import Phrases, find_phrases
from ml.names import normalise_names
from ml.words.tokens import Tokens

ALWAYS = np.iinfo(np.int64).min


def theme_candidates(items: pa.Table, *, tokens: Tokens, vectors_ID: FloatArray, config: InterestConfig) -> Candidates:
    """The named codes as points, each carried by its items; none where too few items say anything."""
    spoken_I = np.bincount(tokens.text_T, minlength=items.num_rows) > 0
    known_at_I = known_at(items)
    order_N = np.flatnonzero(spoken_I)[np.argsort(known_at_I[spoken_I], kind="stable")]
    codes = replay(
        vectors_ID[order_N],
        known_at_I=known_at_I[order_N],
        phrases_of_first=lambda end: _phrases(tokens, order_N=order_N[:end], num_items=items.num_rows, config=config),
        config=config,
    )
    return _as_candidates(codes, order_N=order_N, num_items=items.num_rows, config=config)


def known_at(items: pa.Table) -> IntArray:
    """When what is known of each item had appeared, in microseconds, shape [I]; `ALWAYS` where no column says."""
    later = pc.max_element_wise(*(pc.cast(items.column(name), pa.int64()) for name in ("created_at", "text_known_at")))
    return np.asarray(pc.fill_null(later, ALWAYS), dtype=np.int64)


def _phrases(tokens: Tokens, *, order_N: IntArray, num_items: int, config: InterestConfig) -> Phrases:
    """The phrases of some items alone, whatever others say."""
    place_I = np.full(num_items, -1, dtype=np.int64)
    place_I[order_N] = np.arange(len(order_N))
    chosen_T: BoolArray = place_I[tokens.text_T] >= 0
    some = Tokens(tokens.words, tokens.word_T[chosen_T], place_I[tokens.text_T[chosen_T]], tokens.segment_T[chosen_T])
    return find_phrases(some, num_texts=len(order_N), min_texts=config.min_items, max_texts=int(config.max_item_share * len(order_N)))


def _as_candidates(codes: Codes, *, order_N: IntArray, num_items: int, config: InterestConfig) -> Candidates:
    named_C = np.array([bool(name) for name in codes.names], dtype=np.bool_)
    names = pa.array(codes.names, pa.string())
    kinds, keys = pa.repeat(pa.scalar("theme"), len(names)), normalise_names(names)
    above = pa.array(np.maximum(codes.parent_C, 0), mask=(codes.parent_C == NO_CODE) | ~named_C[codes.parent_C])
    row, level = np.nonzero(codes.code_IL != NO_CODE)
    placed = (np.full(len(row), config.theme_weight), (order_N[row], codes.code_IL[row, level]))
    strength_IC = sp.csr_array(placed, shape=(num_items, len(names)))
    return candidates(kinds, keys, names, strength_IC, parent_ids=interest_ids(kinds, keys).take(above)).keep(named_C)
