"""What is seen of a name where it stands: letter case, quotation marks, neighbours, whether Chinese words begin and end there.

Facts only; what they say of the name is `ml.knowledge.confidence`. Shapes: T words of the stream, M matches.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ml.ids import BoolArray, IntArray
from ml.words.chinese import segment_chinese
from ml.words.stream import PART, WordStream
from ml.words.trie import Matches
from ml.words.word_lists import load_words

# Words near a name that say what it names: (word, part of the kind's name). Han characters stand alone.
_CUES_OF_KIND = {
    "actor": "饰 演 配 starring stars star played actor actress",
    "director": "导 執 directed director filmmaker",
    "author": "著 written author novel",
    "brand": "品 brand",
}
CUES = tuple((word, kind) for kind, words in _CUES_OF_KIND.items() for word in words.split())
CUE_REACH = 3
# Above this share of capitals a text shouts, and capitals say nothing.
SHOUTING = 0.7
# Names of more Han characters are not made by chance across two words.
MAX_HAN_CHECKED = 5


@dataclass(frozen=True)
class Seen:
    """One match a row, shape [M] each. `cue_M` is the place in `CUES` of the nearest cue, -1 where none is near.

    Cased are names with the capitals of their full words, fully cased those with the article's too.
    """

    is_cased_M: BoolArray
    is_fully_cased_M: BoolArray
    starts_sentence_M: BoolArray
    is_quoted_M: BoolArray
    in_longer_name_M: BoolArray
    is_aligned_M: BoolArray
    cue_M: IntArray


def look_around(stream: WordStream, matches: Matches, *, names: WordStream, num_names: int) -> Seen:
    """The surroundings of each match of `names` (a text each) in `stream`."""
    start, last = matches.start_M, matches.end_M - 1
    capital_T = stream.is_capital_T & ~_shouts(stream)
    has_capitals = [
        _sums(capital_T & wanted_T, matches) >= np.bincount(names.text_T, weights=in_names, minlength=num_names)[matches.name_M]
        for wanted_T, in_names in ((has_content(stream), names.is_capital_T & has_content(names)), (True, names.is_capital_T))
    ]
    return Seen(
        is_cased_M=has_capitals[0],
        is_fully_cased_M=has_capitals[1],
        starts_sentence_M=stream.starts_sentence_T[start],
        is_quoted_M=stream.opens_T[start] & stream.closes_T[last],
        in_longer_name_M=_goes_on(stream, capital_T, last, step=1) | _goes_on(stream, capital_T, start, step=-1),
        is_aligned_M=_aligned(stream, matches) | _stands_apart(stream, matches),
        cue_M=_nearest_cue(stream, matches),
    )


def has_content(stream: WordStream) -> BoolArray:
    """Words that are no stop words and no mere figures, shape [T]."""
    stops = pc.or_(pc.is_in(stream.keys, value_set=load_words("stop_en")), pc.invert(pc.match_substring_regex(stream.keys, r"\p{L}")))
    found: BoolArray = ~np.asarray(stops, dtype=np.bool_)[stream.key_T]
    return found


def _sums(flag_T: BoolArray, matches: Matches) -> IntArray:
    """Flagged words within each match, shape [M]."""
    so_far = np.concatenate([[0], np.cumsum(flag_T)])
    sums: IntArray = so_far[matches.end_M] - so_far[matches.start_M]
    return sums


def _shouts(stream: WordStream) -> BoolArray:
    """Words of texts in capitals throughout, shape [T]."""
    num_texts = int(stream.text_T[-1]) + 1 if len(stream) else 0
    latin = ~stream.is_han_T
    capitals = np.bincount(stream.text_T, weights=stream.is_capital_T & latin, minlength=num_texts)
    words = np.bincount(stream.text_T, weights=latin, minlength=num_texts)
    shouting: BoolArray = (capitals > SHOUTING * words)[stream.text_T] & (words[stream.text_T] > 10)
    return shouting


def _goes_on(stream: WordStream, capital_T: BoolArray, word: IntArray, *, step: int) -> BoolArray:
    """Whether a name goes on beside `word`: a capital that no sentence gave, or a Chinese part joined by one sign (托米·杰斯普)."""
    beside, is_there = _neighbour(stream, word, step=step)
    later = np.maximum(word, beside)
    distance = np.abs(stream.place_T[beside] - stream.place_T[word])
    given = stream.starts_sentence_T[beside] | stream.starts_sentence_T[later]
    latin = (distance == 1) & capital_T[beside] & ~given & ~stream.is_han_T[word]
    earlier = np.minimum(word, beside)
    both_han = stream.is_han_T[beside] & stream.is_han_T[word]
    dotted = (distance == 2) & both_han & ~stream.opens_T[later] & ~stream.closes_T[earlier] & ~given
    goes_on: BoolArray = is_there & (latin | dotted)
    return goes_on


def _stands_apart(stream: WordStream, matches: Matches) -> BoolArray:
    """Whether a clause or bracket begins at the name, and ends after it or goes on with a cue, as in （张译 饰）; shape [M]."""
    before, has_before = _neighbour(stream, matches.start_M, step=-1)
    after, has_after = _neighbour(stream, matches.end_M - 1, step=1)
    part_T = np.asarray(pc.equal(stream.keys, PART), dtype=np.bool_)[stream.key_T]
    apart: BoolArray = (~has_before | part_T[before]) & (~has_after | part_T[after] | (_cues(stream)[after] >= 0))
    return apart


def _neighbour(stream: WordStream, word: IntArray, *, step: int) -> tuple[IntArray, BoolArray]:
    """The next word of the same text (or the one before), and whether there is one."""
    beside = np.clip(word + step, 0, max(len(stream) - 1, 0))
    is_there: BoolArray = (beside == word + step) & (stream.text_T[beside] == stream.text_T[word])
    return beside, is_there


def _cues(stream: WordStream) -> IntArray:
    """The place of each word in `CUES`, -1 for others, shape [T]."""
    words = pa.array([word for word, _ in CUES])
    cue_V = np.asarray(pc.fill_null(pc.index_in(stream.keys, value_set=words), -1), dtype=np.int64)
    return cue_V[stream.key_T]


def _nearest_cue(stream: WordStream, matches: Matches) -> IntArray:
    cue_T = _cues(stream)
    found = np.full(len(matches.name_M), -1, dtype=np.int64)
    for distance in range(CUE_REACH, 0, -1):
        for edge, step in ((matches.start_M, -distance), (matches.end_M - 1, distance)):
            beside, is_there = _neighbour(stream, edge, step=step)
            found = np.where(is_there & (cue_T[beside] >= 0), cue_T[beside], found)
    return found


def _aligned(stream: WordStream, matches: Matches) -> BoolArray:
    """False where a short Han name begins or ends within a word, as 王菲 does in 国王菲利普; shape [M]."""
    aligned = np.ones(len(matches.name_M), dtype=np.bool_)
    num_words = matches.end_M - matches.start_M
    # A name in parts (汤姆·克鲁斯) is no chance either.
    in_parts = stream.place_T[matches.end_M - 1] - stream.place_T[matches.start_M] >= num_words
    short = stream.is_han_T[matches.start_M] & (num_words <= MAX_HAN_CHECKED) & ~in_parts
    if not short.any():
        return aligned
    run_T = _han_runs(stream)
    edge_T = _word_edges(stream, run_T, runs=np.unique(run_T[matches.start_M[short]]))
    # A name that ends with its run ends with a word.
    ends = np.append(edge_T, True)[matches.end_M] | np.append(np.diff(run_T) != 0, True)[matches.end_M - 1]
    aligned[short] = edge_T[matches.start_M[short]] & ends[short]
    return aligned


def _han_runs(stream: WordStream) -> IntArray:
    """The number of the unbroken run of Han characters each word is in, shape [T]."""
    goes_on = (np.diff(stream.place_T, prepend=-2) == 1) & stream.is_han_T & np.append(False, stream.is_han_T[:-1])
    goes_on &= np.diff(stream.text_T, prepend=-1) == 0
    return np.cumsum(~goes_on)


def _word_edges(stream: WordStream, run_T: IntArray, *, runs: IntArray) -> BoolArray:
    """Where words begin in these runs, as jieba cuts them, shape [T]."""
    lows, highs = np.searchsorted(run_T, runs), np.searchsorted(run_T, runs, side="right")
    taken = np.concatenate([np.arange(low, high) for low, high in zip(lows, highs, strict=True)])
    offsets = np.concatenate([[0], np.cumsum(highs - lows)]).astype(np.int32)
    characters = stream.keys.take(pa.array(stream.key_T[taken]))
    written = pc.binary_join(pa.ListArray.from_arrays(pa.array(offsets), characters), "")
    words = segment_chinese(written.to_pylist())
    lengths = np.fromiter((len(word) for run in words for word in run), dtype=np.int64)
    edge_T = np.zeros(len(stream), dtype=np.bool_)
    edge_T[taken[np.cumsum(lengths) - lengths]] = True
    return edge_T
