"""What codes are called: the phrases that tell their items from those of their sibling codes.

Shapes: I items, P phrases, C codes, L levels.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow.compute as pc
import scipy.sparse as sp

from ml.ids import IntArray
from ml.interests.codebook import NO_CODE
from ml.interests.exact import Floats
from ml.interests.phrases import Phrases

SEPARATOR = " / "
NAME_PHRASES = 3
# Phrases of a code that its name is looked for among.
MAX_PHRASES = 12
# Times more often than in its parent that a phrase should stand in a code; others come last.
MIN_LIFT = 1.3
ROUNDING = 1e-9
# Scores closer than this are equal, whatever the order of summation; then the phrase's key decides.
DIGITS = 9


@dataclass(frozen=True)
class CodeName:
    """What a code is called, and the keys of the phrases the name is made of; empty where no phrase tells it."""

    text: str = ""
    keys: tuple[str, ...] = ()


@dataclass(frozen=True)
class PhraseCounts:
    """Items of each code that hold each phrase, and the code's items; last comes the root, of which every item is."""

    phrases: Phrases
    count_CP: sp.csr_array
    size_C: Floats
    parent_C: IntArray

    def shares(self, code: int, phrase_R: IntArray) -> Floats:
        """Share of a code's items that hold each of some phrases, shape [R]; `NO_CODE` is the root."""
        row = np.asarray(self.count_CP[[code]].toarray(), dtype=np.float64)[0]
        share_R: Floats = row[phrase_R] / max(self.size_C[code], 1.0)
        return share_R


def count_phrases(phrases: Phrases, *, code_IL: IntArray, parent_C: IntArray) -> PhraseCounts:
    """Counts over the items of `code_IL`, which are those of `phrases`."""
    carried_IP = sp.csr_array(phrases.counts_NP.astype(bool).astype(np.float64))
    member_CI = _members(code_IL, num_codes=len(parent_C))
    root_1I = sp.csr_array(np.ones((1, len(code_IL))))
    member_CI = sp.csr_array(sp.vstack([member_CI, root_1I], format="csr"))
    return PhraseCounts(phrases, sp.csr_array(member_CI @ carried_IP), np.diff(member_CI.indptr).astype(np.float64), parent_C)


def telling_phrases(counts: PhraseCounts, *, min_items: int) -> list[IntArray]:
    """The phrases of each code that `min_items` of its items hold, best first, at most `MAX_PHRASES`.

    Score: share of the code's items that hold the phrase x ln(1 + 1 / share of its parent's items that do), the
    class-based TF-IDF of Grootendorst (arXiv 2203.05794) on items, so that one text's
    repetition is no theme, and within the parent. Phrases that the code holds hardly more often than its parent come
    last; one that shares a word with a better one is left out.
    """
    words = pc.split_pattern(counts.phrases.keys, " ").to_pylist()
    return [_distinct(_ranked(code, counts=counts, min_items=min_items), words=words) for code in range(len(counts.parent_C))]


def true_names(names: Sequence[CodeName], *, counts: PhraseCounts) -> list[CodeName]:
    """The names that still hold; an empty one unless a code's items say its phrases, taken together, more often than its parent's do."""
    place_of = {key: place for place, key in enumerate(counts.phrases.keys.to_pylist())}
    found = []
    for code, name in enumerate(names):
        phrase_R = np.array([place_of[key] for key in name.keys if key in place_of], dtype=np.int64)
        said, said_above = (counts.shares(place, phrase_R).sum() for place in (code, int(counts.parent_C[code])))
        found.append(name if said > said_above + ROUNDING else CodeName())
    return found


def choose_names(ranked: Sequence[IntArray], *, phrases: Phrases, names: Sequence[CodeName]) -> list[CodeName]:
    """The names of C codes: those of `names` that have one keep it; others get the first that is free, or an empty one.

    A name is the best `NAME_PHRASES` phrases; where they are another code's already, the next phrase comes in.
    """
    keys, spelled = phrases.keys.to_pylist(), phrases.names.to_pylist()
    taken, found = {name.text for name in names}, [*names, *[CodeName()] * (len(ranked) - len(names))]
    for code, best in enumerate(ranked):
        if not found[code].text:
            possible = (
                CodeName(SEPARATOR.join(spelled[one] for one in some), tuple(keys[one] for one in some)) for some in _possible(best)
            )
            found[code] = next((name for name in possible if name.text not in taken), CodeName())
            taken.add(found[code].text)
    return found


def _members(code_IL: IntArray, *, num_codes: int) -> sp.csr_array:
    """1 where an item is of a code, on whatever level, shape [C, I]."""
    item, level = np.nonzero(code_IL != NO_CODE)
    return sp.csr_array((np.ones(len(item)), (code_IL[item, level], item)), shape=(num_codes, len(code_IL)))


def _ranked(code: int, *, counts: PhraseCounts, min_items: int) -> IntArray:
    row = slice(counts.count_CP.indptr[code], counts.count_CP.indptr[code + 1])
    phrase_R = counts.count_CP.indices[row][counts.count_CP.data[row] >= min_items].astype(np.int64)
    share_R, above_R = counts.shares(code, phrase_R), counts.shares(int(counts.parent_C[code]), phrase_R)
    score_R = np.round(share_R * np.log1p(1.0 / above_R), DIGITS)
    is_common_R = share_R < MIN_LIFT * above_R
    ranked: IntArray = phrase_R[np.lexsort((phrase_R, -score_R, is_common_R))]
    return ranked


def _distinct(ranked: IntArray, *, words: Sequence[Sequence[str]]) -> IntArray:
    """The first phrases of which none shares a word with, or stands in, one before it (Chinese words have no spaces)."""
    chosen: list[int] = []
    for phrase in ranked[: MAX_PHRASES * 4]:
        if not any(_overlap(words[phrase], words[other]) for other in chosen):
            chosen.append(int(phrase))
    return np.array(chosen[:MAX_PHRASES], dtype=np.int64)


def _overlap(left: Sequence[str], right: Sequence[str]) -> bool:
    whole_left, whole_right = " ".join(left), " ".join(right)
    return not set(left).isdisjoint(right) or whole_left in whole_right or whole_right in whole_left


def _possible(best: IntArray) -> list[list[int]]:
    """The phrases a name may be made of, best first: the last of them gives way to one after another."""
    head = [int(phrase) for phrase in best[: NAME_PHRASES - 1]]
    return [[*head, int(last)] for last in best[len(head) :]] or ([head] if head else [])
