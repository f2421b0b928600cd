"""Which of a question's words stand in which item's text, and how much that says: BM25 (Robertson & Zaragoza, 2009), by bm25s.

The texts are those that the encoder reads (`ml.text.items`), so that words count also in a language that it hardly reads. Interests
named in a question are `matching`'s. Shapes: I items, T word occurrences, V words of the catalogue, W of them that a question says,
K items told of.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass

import bm25s
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import scipy.sparse as sp

from ml.ids import FloatArray, IntArray, Vocabulary
from ml.text.items import item_texts
from ml.words.english import fold_plurals
from ml.words.tokens import tokenise
from ml.words.word_lists import load_words

MAX_WORDS_TOLD = 3
# Below it the library tells of every index that it makes, whatever level the program has set.
logging.getLogger("bm25s").setLevel(logging.WARNING)


@dataclass(frozen=True)
class Said:
    """What one question's words say of the items: `share_I` in [0, 1]; the rest is of the words that the catalogue knows.

    `words` are spelled as in the question, `scores_IW` what each brings an item.
    """

    share_I: FloatArray
    words: tuple[str, ...]
    scores_IW: sp.csr_array

    def told(self, items: IntArray) -> list[list[str]]:
        """Of some items the words that say most of them, at most three, most telling first, shape [K]."""
        scores_KW = self.scores_IW[items].toarray()
        order_KW = np.argsort(-scores_KW, axis=1, kind="stable")[:, :MAX_WORDS_TOLD]
        return [[self.words[word] for word in order if of_W[word] > 0] for order, of_W in zip(order_KW, scores_KW, strict=True)]


@dataclass(frozen=True)
class WordIndex:
    """The words of a catalogue and what each says of every item, made ready once for many questions; stop words are left out.

    `place_of` is the position of a word, singular for plural; `scores_IV` its BM25 score (Lucene's form, k1 1.5, b 0.75);
    `weight` what all words of a question count at most, in units of cosine.
    """

    items: Vocabulary
    place_of: Mapping[str, int]
    scores_IV: sp.csc_array
    weight: float

    @classmethod
    def of(cls, items: pa.Table, *, item_embeddings: pa.Table, weight: float) -> "WordIndex":
        """Over the texts of a day's `items`, for those that have embeddings; an item without a text is found by no word."""
        embedded = Vocabulary("item", item_embeddings.column("item_id"))
        place, is_known = embedded.find(items.column("item_id"))
        keys, key_T, text_T = _telling_words(item_texts(items))
        is_kept_T = is_known[text_T]
        scores_IV = _bm25(key_T[is_kept_T], item_T=place[text_T[is_kept_T]], shape=(len(embedded), len(keys)))
        return cls(embedded, {key: number for number, key in enumerate(keys.to_pylist())}, scores_IV, weight)

    def say(self, text: str) -> Said:
        """The words of a question; one that repeats counts again, one that the catalogue does not know says nothing.

        An item's share is its BM25 score over the best item's.
        """
        tokens = tokenise(pa.array([text], pa.string()), language="auto")
        spelled = tokens.words.take(pa.array(tokens.word_T))
        spelled = spelled.filter(pc.invert(_is_stop(spelled)))
        said: dict[int, list[str]] = {}
        for key, word in zip(fold_plurals(spelled).to_pylist(), spelled.to_pylist(), strict=True):
            if key in self.place_of:
                said.setdefault(self.place_of[key], []).append(word)
        # In the catalogue's order, so that the sums are the same in whatever order a question says its words.
        places = sorted(said)
        times_WW = sp.diags_array(np.array([len(said[place]) for place in places], dtype=np.float32))
        scores_IW = sp.csr_array(self.scores_IV[:, places] @ times_WW)
        score_I = np.asarray(scores_IW.sum(axis=1), dtype=np.float32)
        best = score_I.max(initial=0.0)
        return Said(score_I / best if best > 0 else score_I, tuple(said[place][0] for place in places), scores_IW)


def _telling_words(texts: pa.Array) -> tuple[pa.Array, IntArray, IntArray]:
    """Distinct words, singular for plural, without stop words, and of each occurrence the word and the text."""
    tokens = tokenise(texts, language="auto")
    keys = pc.dictionary_encode(fold_plurals(tokens.words))
    is_told_T = np.asarray(pc.invert(_is_stop(tokens.words)), dtype=np.bool_)[tokens.word_T]
    return keys.dictionary, np.asarray(keys.indices, dtype=np.int64)[tokens.word_T[is_told_T]], tokens.text_T[is_told_T]


def _is_stop(words: pa.Array) -> pa.Array:
    return pc.is_in(words, value_set=pa.concat_arrays([load_words("stop_en"), load_words("stop_zh")]))


def _bm25(key_T: IntArray, *, item_T: IntArray, shape: tuple[int, int]) -> sp.csc_array:
    # The library divides by the mean length of texts.
    if not len(key_T):
        return sp.csc_array(shape, dtype=np.float32)
    ends = np.cumsum(np.bincount(item_T, minlength=shape[0]))[:-1]
    texts = [part.tolist() for part in np.split(key_T[np.argsort(item_T, kind="stable")], ends)]
    index = bm25s.BM25()
    index.index((texts, {str(key): key for key in range(shape[1])}), create_empty_token=False, show_progress=False)
    return sp.csc_array((index.scores["data"], index.scores["indices"], index.scores["indptr"]), shape=shape)
