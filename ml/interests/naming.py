"""What codes are called: the phrases that tell their items from those of their sibling codes.

Shapes: I items, P phrases, C codes, L levels.
"""

from collections.abc import Sequence

import numpy as np
import pyarrow.compute as pc
import scipy.sparse as sp

from ml.ids import BoolArray, IntArray
from ml.interests.codebook import NO_CODE
from ml.interests.exact import Floats
from ml.interests.phrases import Phrases

SEPARATOR = " / "
NAME_PHRASES = 3
# Phrases of a code that its name is looked for among.
MAX_PHRASES = 12
# Times more often than in its parent that a phrase should stand in a code; others come last.
MIN_LIFT = 1.3
# Scores closer than this are equal, whatever the order of summation; then the phrase's key decides.
DIGITS = 9


def telling_phrases(phrases: Phrases, *, code_IL: IntArray, parent_C: IntArray, min_items: int) -> list[IntArray]:
    """The phrases of each code that `min_items` of its items hold, best first, at most `MAX_PHRASES`.

    Score: share of the code's items that hold the phrase x ln(1 + 1 / share of its parent's items that do), the
    class-based TF-IDF of Grootendorst (arXiv 2203.05794) on items, so that one text's
    repetition is no theme, and within the parent. Phrases that the code holds hardly more often than its parent come
    last; one that shares a word with a better one is left out.
    """
    carried_IP = sp.csr_array(phrases.counts_NP.astype(bool).astype(np.float64))
    member_CI = _members(code_IL, num_codes=len(parent_C))
    count_CP = sp.csr_array(member_CI @ carried_IP)
    # The root, of which every item is, behind the codes: NO_CODE is its position from the end.
    size_C = np.append(np.diff(member_CI.indptr), len(code_IL)).astype(np.float64)
    count_CP = sp.csr_array(sp.vstack([count_CP, sp.csr_array(carried_IP.sum(axis=0)[None, :])], format="csr"))
    words = pc.split_pattern(phrases.keys, " ").to_pylist()
    return [
        _distinct(_ranked(code, int(parent), count_CP=count_CP, size_C=size_C, min_items=min_items), words=words)
        for code, parent in enumerate(parent_C)
    ]


def choose_names(ranked: Sequence[IntArray], *, phrases: Phrases, names: Sequence[str]) -> list[str]:
    """The names of C codes: those of `names` that have one keep it, others get the first that is free, "" where no phrase tells them.

    A name is the best `NAME_PHRASES` phrases; where they are another code's already, the next phrase comes in.
    """
    spelled = phrases.names.to_pylist()
    taken, found = {name for name in names if name}, [*names, *[""] * (len(ranked) - len(names))]
    for code, best in enumerate(ranked):
        if not found[code]:
            found[code] = next((name for name in _possible([spelled[phrase] for phrase in best]) if name not in taken), "")
            taken.add(found[code])
    return found


def _members(code_IL: IntArray, *, num_codes: int) -> sp.csr_array:
    """1 where an item is of a code, on whatever level, shape [C, I]."""
    item, level = np.nonzero(code_IL != NO_CODE)
    return sp.csr_array((np.ones(len(item)), (code_IL[item, level], item)), shape=(num_codes, len(code_IL)))


def _ranked(code: int, parent: int, *, count_CP: sp.csr_array, size_C: Floats, min_items: int) -> IntArray:
    row = slice(count_CP.indptr[code], count_CP.indptr[code + 1])
    enough: BoolArray = count_CP.data[row] >= min_items
    phrase_R, count_R = count_CP.indices[row][enough], count_CP.data[row][enough]
    above_R = np.asarray(count_CP[[parent]].toarray())[0, phrase_R] / size_C[parent]
    share_R = count_R / max(size_C[code], 1.0)
    score_R = np.round(share_R * np.log1p(1.0 / above_R), DIGITS)
    is_common_R = share_R < MIN_LIFT * above_R
    ranked: IntArray = phrase_R[np.lexsort((phrase_R, -score_R, is_common_R))].astype(np.int64)
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


def _possible(spelled: Sequence[str]) -> list[str]:
    """Names a code may have, best first: one phrase after another in the last place, then all on top of each other."""
    head = list(spelled[: NAME_PHRASES - 1])
    return [SEPARATOR.join([*head, last]) for last in spelled[len(head) :]] or ([SEPARATOR.join(head)] if head else [])
