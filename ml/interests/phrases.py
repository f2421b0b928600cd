"""Candidate phrases: runs of one to three words, which texts hold them, and which longer phrase holds them.

Everything is counted on integers. A phrase in fewer texts than needed is never
counted further, since no longer phrase can be more frequent (Agrawal & Srikant,
"Fast algorithms for mining association rules", VLDB 1994). Choosing is `ml.interests.keyphrases`.
Shapes: N texts, P phrases, T tokens, V distinct words, O occurrences.
"""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import scipy.sparse as sp

from ml.ids import BoolArray, IntArray
from ml.words.english import fold_plurals
from ml.words.tokens import HAN_RUN, Tokens, can_stand_alone, is_stop_word

MAX_WORDS = 3
ScalarT = TypeVar("ScalarT", bound=np.generic)


@dataclass(frozen=True)
class Phrases:
    """P phrases. `keys` are unique and folded, `names` are their most frequent spellings.

    `contained_share_P` is the largest share of a phrase's texts that one longer phrase covers.
    """

    keys: pa.Array
    names: pa.Array
    counts_NP: sp.csr_array
    contained_share_P: npt.NDArray[np.float64]

    def keep(self, mask_P: BoolArray) -> "Phrases":
        """Only the phrases of the mask."""
        chosen = pa.array(mask_P)
        counts = self.counts_NP[:, np.flatnonzero(mask_P)]
        return Phrases(self.keys.filter(chosen), self.names.filter(chosen), counts, self.contained_share_P[mask_P])


@dataclass(frozen=True)
class _Grams:
    """Word runs of one length: `gram_T` is the run that starts at a token, -1 where none does."""

    num_words: int
    gram_T: IntArray
    num_texts_G: IntArray


@dataclass(frozen=True)
class _Spelled:
    """Keys and most frequent names (ties: first in order) of phrases, and the phrase of each word run.

    Two runs are one phrase where jieba cut the same characters differently.
    """

    keys: pa.Array
    names: pa.Array
    gram_G: IntArray
    phrase_G: IntArray


def find_phrases(tokens: Tokens, *, num_texts: int, min_texts: int, max_texts: int) -> Phrases:
    """Phrases in `min_texts` to `max_texts` texts that neither begin nor end with a stop word.

    Words of one phrase are joined by a space, Chinese ones by nothing.
    """
    folded = pc.dictionary_encode(fold_plurals(tokens.words))
    fold_T = np.asarray(folded.indices, dtype=np.int64)[tokens.word_T]
    grams = _count_grams(tokens, fold_T=fold_T, min_texts=min_texts)
    offsets = np.cumsum([0, *(len(found.num_texts_G) for found in grams)])
    contained_share = _contained_shares(grams, offsets=offsets)
    gram_O, start_O, length_O = _occurrences(grams, tokens=tokens, offsets=offsets, max_texts=max_texts)
    spelled = _spell(tokens, folded=folded.dictionary, fold_T=fold_T, gram_O=gram_O, start_O=start_O, length_O=length_O)
    phrase_O = spelled.phrase_G[np.searchsorted(spelled.gram_G, gram_O)]
    counts = sp.coo_array((np.ones(len(gram_O)), (tokens.text_T[start_O], phrase_O)), shape=(num_texts, len(spelled.keys))).tocsr()
    shares = np.zeros(len(spelled.keys))
    np.maximum.at(shares, spelled.phrase_G, contained_share[spelled.gram_G])
    return Phrases(spelled.keys, spelled.names, counts, shares)


def _count_grams(tokens: Tokens, *, fold_T: IntArray, min_texts: int) -> list[_Grams]:
    words = _keep_frequent(1, fold_T, text_T=tokens.text_T, min_texts=min_texts)
    grams = [words]
    for num_words in range(2, MAX_WORDS + 1):
        head_T = grams[-1].gram_T
        last_T = _shift(words.gram_T, num_words - 1, fill=-1)
        same_segment = tokens.segment_T == _shift(tokens.segment_T, num_words - 1, fill=-1)
        width = len(words.num_texts_G) + 1
        pair_T = np.where((head_T >= 0) & (last_T >= 0) & same_segment, head_T * width + last_T, -1)
        grams.append(_keep_frequent(num_words, pair_T, text_T=tokens.text_T, min_texts=min_texts))
    return grams


def _keep_frequent(num_words: int, label_T: IntArray, *, text_T: IntArray, min_texts: int) -> _Grams:
    """Number the labels that stand in enough texts; label -1 is none."""
    present = label_T >= 0
    labels, gram_O = np.unique(label_T[present], return_inverse=True)
    num_texts = _num_distinct_texts(gram_O, text_T[present], num_grams=len(labels))
    frequent = num_texts >= min_texts
    renumbered = np.where(frequent, np.cumsum(frequent) - 1, -1)
    gram_T = np.full(len(label_T), -1, dtype=np.int64)
    gram_T[present] = renumbered[gram_O]
    return _Grams(num_words, gram_T, num_texts[frequent])


def _num_distinct_texts(gram_O: IntArray, text_O: IntArray, *, num_grams: int) -> IntArray:
    width = int(text_O.max(initial=0)) + 1
    pairs = np.unique(gram_O * width + text_O)
    return np.bincount(pairs // width, minlength=num_grams).astype(np.int64)


def _contained_shares(grams: list[_Grams], *, offsets: IntArray) -> npt.NDArray[np.float64]:
    """A longer phrase's texts all hold its parts, so the overlap is a ratio of counts."""
    shares = np.zeros(offsets[-1])
    for longer in grams[1:]:
        longer_ids, first_T = np.unique(longer.gram_T, return_index=True)
        first_T = first_T[longer_ids >= 0]
        for shorter in grams[: longer.num_words - 1]:
            for start in range(longer.num_words - shorter.num_words + 1):
                part = shorter.gram_T[first_T + start]
                np.maximum.at(shares, offsets[shorter.num_words - 1] + part, longer.num_texts_G / shorter.num_texts_G[part])
    return shares


def _occurrences(grams: list[_Grams], *, tokens: Tokens, offsets: IntArray, max_texts: int) -> tuple[IntArray, IntArray, IntArray]:
    """Word run, first token and length in words of every occurrence of a candidate, each of shape [O]."""
    edge_T = ~is_stop_word(tokens.words)[tokens.word_T]
    alone_T = can_stand_alone(tokens.words)[tokens.word_T]
    parts = []
    for found in grams:
        begins: BoolArray = edge_T & (found.gram_T >= 0) & (alone_T if found.num_words == 1 else True)
        start_O = np.flatnonzero(begins & _shift(edge_T, found.num_words - 1, fill=0))
        start_O = start_O[found.num_texts_G[found.gram_T[start_O]] <= max_texts]
        gram_O = found.gram_T[start_O] + offsets[found.num_words - 1]
        parts.append((gram_O, start_O, np.full(len(start_O), found.num_words)))
    gram_O, start_O, length_O = (np.concatenate(column) for column in zip(*parts, strict=True))
    return gram_O, start_O, length_O


def _spell(tokens: Tokens, *, folded: pa.Array, fold_T: IntArray, gram_O: IntArray, start_O: IntArray, length_O: IntArray) -> _Spelled:
    columns = {"gram": gram_O, "length": length_O}
    for position in range(MAX_WORDS):
        at = np.minimum(start_O + position, len(fold_T) - 1)
        inside = position < length_O
        columns[f"word_{position}"] = np.where(inside, tokens.word_T[at], -1)
        columns[f"fold_{position}"] = np.where(inside, fold_T[at], -1)
    counted = pa.table(columns).group_by(list(columns)).aggregate([([], "count_all")])
    keys, names = _join(counted, words=folded, prefix="fold"), _join(counted, words=tokens.words, prefix="word")
    spelled = pa.table({"gram": counted.column("gram"), "key": keys, "name": names, "count": counted.column("count_all")})
    best = spelled.group_by(["key", "name"]).aggregate([("count", "sum")])
    best = best.sort_by([("key", "ascending"), ("count_sum", "descending"), ("name", "ascending")])
    phrases = best.group_by("key", use_threads=False).aggregate([("name", "first")])
    gram_G, first = np.unique(np.asarray(spelled.column("gram")), return_index=True)
    phrase_G = np.asarray(pc.index_in(keys.take(pa.array(first)), value_set=phrases.column("key")), dtype=np.int64)
    return _Spelled(phrases.column("key").combine_chunks(), phrases.column("name_first").combine_chunks(), gram_G, phrase_G)


def _join(counted: pa.Table, *, words: pa.Array, prefix: str) -> pa.Array:
    parts = []
    for position in range(MAX_WORDS):
        index = np.asarray(counted.column(f"{prefix}_{position}"))
        parts.append(words.take(pa.array(index, pa.int64(), mask=index < 0)))
    is_han = pc.match_substring_regex(parts[0], rf"^{HAN_RUN}$")
    spaced = pc.binary_join_element_wise(*parts, " ", null_handling="skip")
    return pc.if_else(is_han, pc.replace_substring(spaced, " ", ""), spaced)


def _shift(values_T: npt.NDArray[ScalarT], offset: int, *, fill: int) -> npt.NDArray[ScalarT]:
    shifted = np.full_like(values_T, fill)
    shifted[: max(len(values_T) - offset, 0)] = values_T[offset:]
    return shifted
