"""What users' own texts say of interest points: searches ask for them, reviews like or dislike them.

The points a text names come first, those near to it in meaning after them. How much it all counts in a profile
is `ml.interests.profiles`. Shapes: N texts, Q distinct ones, B of them in a block, P points, D dimension, S (text, point) pairs.
"""

from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import scipy.sparse as sp

from ml.config.pipeline import InterestConfig
from ml.contracts import check_no_leakage
from ml.contracts.meaning import INTEREST_POINTS, TEXT_INTERESTS
from ml.contracts.spaces import require_same_space, space_of
from ml.contracts.vectors import vectors_to_matrix
from ml.decay import decay_factors
from ml.ids import BoolArray, FloatArray, IntArray
from ml.interests.exact import Floats, on_grid
from ml.words.cleaning import clean_column
from ml.words.english import fold_plurals
from ml.words.stream import WordStream, read_stream
from ml.words.tokens import is_stop_word, tokenise
from ml.words.trie import NameTrie, key_of_names

# Half-lives after which a text weighs less than a thousandth and is left out.
MAX_HALF_LIVES = 10
# Near are points whose cosine is so many standard deviations above the mean of all points: a bar that fits every encoder's range.
NEAR_DEVIATIONS = 3.0
# Pairs of a text and a point looked at together; bounds the memory, not the result.
BLOCK_PAIRS = 2_000_000


@dataclass(frozen=True)
class _Points:
    """Points in order of id, the names they are found by, and how much each says."""

    ids: pa.Array
    trie: NameTrie
    bears_NP: sp.csr_array
    vectors_PD: Floats
    strength_P: Floats


def in_order(user_texts: pa.Table, *, config: InterestConfig, as_of: datetime) -> pa.Table:
    """The texts that count, as their vectors must be: cleaned, sorted by event, then user.

    Left out are texts of white space and those older than `MAX_HALF_LIVES` half-lives.
    Raises `LeakageError` for one at or after `as_of`.
    """
    check_no_leakage(user_texts, name="user_texts", column="event_at", as_of=as_of)
    weight_N = decay_factors(user_texts.column("event_at"), as_of=as_of, half_life_days=config.half_life_days)
    young = clean_column(user_texts.filter(pa.array(weight_N >= 0.5**MAX_HALF_LIVES)), "text")
    return young.filter(pc.not_equal(young.column("text"), "")).sort_by([("event_id", "ascending"), ("user_id", "ascending")])


def find_text_interests(
    user_texts: pa.Table,
    *,
    vectors_ND: FloatArray,
    space_id: str,
    interest_points: pa.Table,
    review_signals: pa.Table,
    language: str,
    config: InterestConfig,
) -> pa.Table:
    """The table `text_interests` of the texts, `in_order`, with a vector each; sorted by key.

    A point is named where its name or an alias stands in the text as whole words, plural or singular, or anywhere in Chinese.
    It weighs what it would in an item: the strength of its kind x specificity; a near one (see `NEAR_DEVIATIONS`) that times its
    cosine. The `max_interests_per_text` strongest stay, named ones first, and are divided by their L2 norm. A search says 1
    of them; a review its sentiment, where that is withheld the sign of its stars, without stars nothing. A text of
    stop words alone is near to nothing. Raises `EmbeddingSpaceError` unless texts and points are of one space.
    """
    if len(vectors_ND) != user_texts.num_rows:
        raise ValueError(f"{user_texts.num_rows} texts but {len(vectors_ND)} vectors; give one vector per text, in_order")
    said_N = _said(user_texts, review_signals=review_signals)
    speaks = np.flatnonzero(said_N)
    if not len(speaks) or not interest_points.num_rows:
        return TEXT_INTERESTS.empty()
    require_same_space(space_id, space_of(interest_points, name=INTEREST_POINTS.name) or space_id)
    points = _read_points(interest_points, config=config)
    spoken = pc.dictionary_encode(user_texts.column("text").combine_chunks().take(pa.array(speaks)))
    text_N = np.asarray(spoken.indices, dtype=np.int64)
    vectors_QD = vectors_ND[speaks[np.unique(text_N, return_index=True)[1]]]
    weights_QP = _weights(spoken.dictionary, vectors_QD=vectors_QD, points=points, language=language, config=config)
    return _to_table(user_texts.take(pa.array(speaks)), said_N=said_N[speaks], weights_NP=weights_QP[text_N], points=points)


def _said(user_texts: pa.Table, *, review_signals: pa.Table) -> Floats:
    """What each text says of what it is about, in [-1, 1], shape [N]."""
    of_stars = pc.if_else(review_signals.column("is_rated"), pc.sign(review_signals.column("weight")), 0.0)
    of_review = pc.if_else(review_signals.column("is_abstained"), of_stars, review_signals.column("sentiment"))
    place = pc.index_in(_event_keys(user_texts), value_set=_event_keys(review_signals).combine_chunks())
    said = pc.if_else(pc.is_null(user_texts.column("item_id")), 1.0, pc.fill_null(of_review.take(place), 0.0))
    return np.asarray(said, dtype=np.float64)


def _event_keys(table: pa.Table) -> pa.ChunkedArray:
    """Event and user as one string; ids may hold anything but the unit separator."""
    return pc.binary_join_element_wise(table.column("event_id"), table.column("user_id"), "\x1f")


def _read_points(interest_points: pa.Table, *, config: InterestConfig) -> _Points:
    points = interest_points.sort_by("interest_id")
    strengths = {
        "tag": config.tag_weight,
        "category": config.category_weight,
        "keyphrase": config.keyphrase_weight,
        "theme": config.theme_weight,
    }
    of_kind_P = np.array([strengths[kind] for kind in points.column("kind").to_pylist()])
    aliases = points.column("aliases").combine_chunks()
    names = pa.concat_arrays([points.column("name").combine_chunks(), aliases.flatten()])
    point_of_row = np.concatenate([np.arange(points.num_rows), np.asarray(pc.list_parent_indices(aliases), dtype=np.int64)])
    telling = np.flatnonzero(~is_stop_word(pc.utf8_lower(names)))
    trie, bears_NP = _read_names(names.take(pa.array(telling)), point_of_row=point_of_row[telling], num_points=points.num_rows)
    return _Points(
        ids=points.column("interest_id").combine_chunks(),
        trie=trie,
        bears_NP=bears_NP,
        vectors_PD=on_grid(vectors_to_matrix(points.column("vector"))),
        strength_P=of_kind_P * np.asarray(points.column("specificity"), dtype=np.float64),
    )


def _read_names(names: pa.Array, *, point_of_row: IntArray, num_points: int) -> tuple[NameTrie, sp.csr_array]:
    """A trie of the names, and which points bear each of those that it tells apart."""
    stream = _singular(read_stream(names))
    name_of_row = np.asarray(pc.dictionary_encode(key_of_names(stream, num_names=len(names))).indices, dtype=np.int64)
    _, first = np.unique(name_of_row, return_index=True)
    trie = NameTrie(_singular(read_stream(names.take(pa.array(first)))), num_names=len(first))
    return trie, sp.csr_array((np.ones(len(names)), (name_of_row, point_of_row)), shape=(len(first), num_points))


def _singular(stream: WordStream) -> WordStream:
    """The stream with plural and singular as one word."""
    folded = pc.dictionary_encode(fold_plurals(stream.keys))
    return replace(stream, keys=folded.dictionary, key_T=np.asarray(folded.indices, dtype=np.int64)[stream.key_T])


def _weights(texts: pa.Array, *, vectors_QD: FloatArray, points: _Points, language: str, config: InterestConfig) -> sp.csr_array:
    """How much of each text each point is, rows of unit length, shape [Q, P]."""
    blocks, block_size = [], max(BLOCK_PAIRS // len(points.ids), 1)
    for start in range(0, len(texts), block_size):
        block = texts.slice(start, block_size)
        is_named_BP = _named(block, points=points)
        nearness_BP = _nearness(vectors_QD[start : start + block_size], points=points) * _has_words(block, language=language)[:, None]
        strength_BP = np.where(is_named_BP, 1.0, nearness_BP) * points.strength_P
        blocks.append(_strongest(strength_BP, is_first_BP=is_named_BP, limit=config.max_interests_per_text))
    return sp.csr_array(sp.vstack(blocks, format="csr"))


def _named(texts: pa.Array, *, points: _Points) -> BoolArray:
    stream = _singular(read_stream(texts))
    found = points.trie.find(stream)
    names_BN = sp.csr_array(
        (np.ones(len(found.name_M)), (stream.text_T[found.start_M], found.name_M)), shape=(len(texts), points.bears_NP.shape[0])
    )
    named: BoolArray = (names_BN @ points.bears_NP).toarray() > 0
    return named


def _nearness(vectors_BD: FloatArray, *, points: _Points) -> Floats:
    """Cosine to each point near in meaning, 0 for the others, shape [B, P]."""
    cosine_BP = on_grid(vectors_BD) @ points.vectors_PD.T
    bar_B = cosine_BP.mean(axis=1) + NEAR_DEVIATIONS * cosine_BP.std(axis=1)
    return np.where(cosine_BP > np.maximum(bar_B, 0.0)[:, None], cosine_BP, 0.0)


def _has_words(texts: pa.Array, *, language: str) -> BoolArray:
    """Which texts hold a word that may carry an interest, shape [B]."""
    tokens = tokenise(texts, language=language)
    carries = ~is_stop_word(tokens.words)[tokens.word_T]
    found: BoolArray = np.bincount(tokens.text_T[carries], minlength=len(texts)) > 0
    return found


def _strongest(strength_BP: Floats, *, is_first_BP: BoolArray, limit: int) -> sp.csr_array:
    """Each row's `limit` largest entries above 0, those that are first before others, ties by point, divided by their L2 norm."""
    row, point = np.nonzero(strength_BP)
    strength = strength_BP[row, point]
    order = np.lexsort((point, -np.round(strength, 9), ~is_first_BP[row, point], row))
    place = np.arange(len(order)) - np.searchsorted(row, row[order])
    kept = order[place < limit]
    kept_BP = sp.csr_array((strength[kept], (row[kept], point[kept])), shape=strength_BP.shape)
    norm_B = np.sqrt(np.asarray(kept_BP.power(2).sum(axis=1)))
    return sp.csr_array(sp.diags_array(1.0 / np.where(norm_B > 0, norm_B, 1.0)) @ kept_BP)


def _to_table(texts: pa.Table, *, said_N: Floats, weights_NP: sp.csr_array, points: _Points) -> pa.Table:
    weights_NP.sort_indices()
    text_S = np.repeat(np.arange(texts.num_rows), np.diff(weights_NP.indptr))
    columns = {name: texts.column(name).take(pa.array(text_S)) for name in ("event_id", "user_id", "item_id", "event_at")}
    # Rounding may leave a single weight one bit above its bound.
    weight_S = np.clip(weights_NP.data * said_N[text_S], -1.0, 1.0)
    found = pa.table({**columns, "interest_id": points.ids.take(pa.array(weights_NP.indices)), "weight": weight_S})
    return TEXT_INTERESTS.conform(found)
