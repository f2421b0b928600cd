"""Finds all of many names in a stream of words at once: a trie whose levels are sorted arrays, walked from every place together.

Exact, no hashing. Aho and Corasick ("Efficient string matching", CACM 18(6), 1975) walk it with failure links word by
word; here each level is one search over the places still alive. Shapes: N names, T words of the stream, M matches.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ml.ids import IntArray
from ml.words.stream import WordStream

# Words of English names, characters of Chinese ones; longer names are sentences.
MAX_WORDS = 20


@dataclass(frozen=True)
class Level:
    """Steps of one depth: `pairs` (state times number of words, plus word) sorted, with the state each leads to being its place."""

    pairs: IntArray
    name_of_state: IntArray


@dataclass(frozen=True)
class Matches:
    """Where names stand: word `start` up to `end` (exclusive) of the stream. All shape [M]."""

    name_M: IntArray
    start_M: IntArray
    end_M: IntArray


class NameTrie:
    """Names as lists of words. Names of no word or more than `MAX_WORDS` are never found; of equal ones the first is."""

    def __init__(self, names: WordStream, *, num_names: int) -> None:
        """Build from the stream of the names, one text each."""
        self._words = names.keys
        self.length_N = np.bincount(names.text_T, minlength=num_names)
        first_N = np.cumsum(self.length_N) - self.length_N
        self._levels = self._build(names.key_T, first_N=first_N)

    def _build(self, key_T: IntArray, *, first_N: IntArray) -> list[Level]:
        levels = []
        alive = np.flatnonzero((self.length_N > 0) & (self.length_N <= MAX_WORDS))
        state = np.zeros(len(alive), dtype=np.int64)
        for depth in range(MAX_WORDS):
            pairs, state = np.unique(state * len(self._words) + key_T[first_N[alive] + depth], return_inverse=True)
            done = self.length_N[alive] == depth + 1
            name_of_state = np.full(len(pairs), -1, dtype=np.int64)
            name_of_state[state[done][::-1]] = alive[done][::-1]
            levels.append(Level(pairs, name_of_state))
            alive, state = alive[~done], state[~done]
            if not len(alive):
                break
        return levels

    def find(self, stream: WordStream) -> Matches:
        """Every place where a name stands, overlapping ones too, by length, then place."""
        word_V = np.asarray(pc.fill_null(pc.index_in(stream.keys, value_set=self._words), -1), dtype=np.int64)
        word_T = word_V[stream.key_T]
        start, state = np.flatnonzero(word_T >= 0), np.zeros(int((word_T >= 0).sum()), dtype=np.int64)
        found = []
        for depth, level in enumerate(self._levels):
            start, state = self._step(start, state, level=level, word_T=word_T, text_T=stream.text_T, depth=depth)
            ends_here = level.name_of_state[state] >= 0
            name = level.name_of_state[state[ends_here]]
            found.append(Matches(name, start[ends_here], start[ends_here] + depth + 1))
        return _joined(found)

    def _step(
        self, start: IntArray, state: IntArray, *, level: Level, word_T: IntArray, text_T: IntArray, depth: int
    ) -> tuple[IntArray, IntArray]:
        inside = start + depth < len(word_T)
        start, state = start[inside], state[inside]
        here = (word_T[start + depth] >= 0) & (text_T[start + depth] == text_T[start])
        start, state = start[here], state[here]
        pair = state * len(self._words) + word_T[start + depth]
        place = np.minimum(np.searchsorted(level.pairs, pair), len(level.pairs) - 1)
        known = level.pairs[place] == pair if len(level.pairs) else np.zeros(len(pair), dtype=np.bool_)
        return start[known], place[known].astype(np.int64)


def key_of_names(names: WordStream, *, num_names: int) -> pa.Array:
    """Each name's words joined by spaces: equal for names that the trie cannot tell apart; shape [N]."""
    offsets = np.concatenate([[0], np.cumsum(np.bincount(names.text_T, minlength=num_names))]).astype(np.int32)
    words = names.keys.take(pa.array(names.key_T))
    return pc.binary_join(pa.ListArray.from_arrays(pa.array(offsets), words), " ")


def _joined(found: list[Matches]) -> Matches:
    if not found:
        nothing = np.zeros(0, dtype=np.int64)
        return Matches(nothing, nothing, nothing)
    return Matches(*(np.concatenate([getattr(part, name) for part in found]) for name in ("name_M", "start_M", "end_M")))
