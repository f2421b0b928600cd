"""Which interest points a text matches: those it names, and those near to it in meaning.

Shapes: I items, T interest points, D dimension.
"""

import re
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import scipy.sparse as sp

from ml.contracts.vectors import vectors_to_matrix
from ml.ids import BoolArray, FloatArray, IntArray, Vocabulary

_WORD = re.compile(r"[^\W_]+")
_HAN = re.compile(r"[\u3400-\u9fff]")


@dataclass(frozen=True)
class Points:
    """The interest points of a catalogue by position, made ready once for many texts; `keys_T` is what is looked for in them."""

    interests: Vocabulary
    names: pa.Array
    vectors_TD: FloatArray
    keys_T: tuple[str, ...]

    @classmethod
    def of(cls, interest_points: pa.Table) -> "Points":
        """From the table of that name."""
        points = interest_points.sort_by("interest_id")
        names = points.column("name").combine_chunks()
        return cls(
            interests=Vocabulary("interest", points.column("interest_id")),
            names=names,
            vectors_TD=vectors_to_matrix(points.column("vector")),
            keys_T=tuple(name_key(name) for name in names.to_pylist()),
        )


@dataclass(frozen=True)
class Matches:
    """Interest points against one text. `order` holds matching positions, best first."""

    points: Points
    is_named_T: BoolArray
    order: IntArray


def match_interests(query_vector: FloatArray, *, text: str, points: Points, limit: int) -> Matches:
    """Points named in `text` first, then near ones by cosine, `limit` in all, ties by interest id.

    Near are points whose cosine is above 0 and at least 0.9 standard deviations above
    the mean of all points: a bar that fits every encoder's range of cosines.
    """
    cosine_T = cosines(query_vector, points.vectors_TD)
    bar = cosine_T.mean() + 0.9 * cosine_T.std() - 1e-6 if len(cosine_T) else 0.0
    said = searched(text)
    is_named_T = np.array([bool(key) and key in said for key in points.keys_T], dtype=np.bool_)
    order = np.lexsort((-cosine_T, ~is_named_T))
    is_match_T = is_named_T | ((cosine_T > 0) & (cosine_T >= bar))
    return Matches(points=points, is_named_T=is_named_T, order=order[is_match_T[order]][:limit])


def named_share(matches: Matches, *, about_IT: sp.csr_array) -> FloatArray:
    """How much of each item the named points are: cosine of its weights to them all alike, in [0, 1], shape [I]."""
    num_named = int(matches.is_named_T.sum())
    share_I: FloatArray = (about_IT @ matches.is_named_T.astype(np.float32)) / np.sqrt(max(num_named, 1))
    return share_I


def name_key(name: str) -> str:
    """What is looked for in a `searched` text; empty for a name without a letter or digit."""
    if _HAN.search(name):
        return name.casefold()
    words = _spaced(name)
    return words if len(words) > 2 else ""


def searched(text: str) -> str:
    """A text in the form in which keys of names are looked for."""
    return f"{text.casefold()}\n{_spaced(text)}"


def cosines(vector: FloatArray, vectors_ND: FloatArray) -> FloatArray:
    """Cosine of one vector to each row, 0 where either has no length; shape [N]."""
    if not len(vectors_ND):
        return np.zeros(0, dtype=np.float32)
    lengths = np.linalg.norm(vectors_ND, axis=1) * np.linalg.norm(vector)
    found: FloatArray = (vectors_ND @ vector / np.where(lengths > 0, lengths, 1.0)).astype(np.float32)
    return found


def _spaced(text: str) -> str:
    # Chinese characters are words of their own, so that "Boot" is found in "适合boot的".
    apart = _HAN.sub(lambda found: f" {found.group()} ", text.casefold())
    return f" {' '.join(_WORD.findall(apart))} "
