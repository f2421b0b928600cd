"""Where ids become positions, and where user ids cross the border.

`Vocabulary` is the only place that maps ids to row numbers; an unknown id is
masked or raises, it is never position 0. `UserIdBorder` is the only place a raw
user id is turned into the id used inside, and back.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ml.errors import UnknownIdError

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]

# Ids that are hashed in the time in which one is searched for.
_HASHED_PER_SEARCH = 200


def pair_starts(left_N: IntArray, right_N: IntArray) -> IntArray:
    """Where each pair begins in rows sorted by left, then right; positions are 0 and above."""
    return np.flatnonzero((np.diff(left_N, prepend=-1) != 0) | (np.diff(right_N, prepend=-1) != 0))


class Vocabulary:
    """A sorted, immutable set of ids and their positions 0..len-1."""

    def __init__(self, kind: str, ids: Iterable[str] | pa.Array | pa.ChunkedArray) -> None:
        """Sort and deduplicate `ids`; `kind` names them in errors ("user", "item")."""
        self.kind = kind
        unique = pc.unique(_as_strings(ids)).drop_null()
        self._ids: pa.Array = unique.take(pc.array_sort_indices(unique))

    def __len__(self) -> int:
        return len(self._ids)

    def __contains__(self, identifier: object) -> bool:
        return isinstance(identifier, str) and pc.index(self._ids, identifier).as_py() >= 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocabulary) and self.kind == other.kind and self._ids.equals(other._ids)

    def __hash__(self) -> int:
        return hash((self.kind, len(self)))

    @property
    def ids(self) -> pa.Array:
        """Ids in position order, string, shape [len]."""
        return self._ids

    def find(self, ids: Sequence[str] | pa.Array | pa.ChunkedArray) -> tuple[IntArray, BoolArray]:
        """Positions and a mask of known ids, both shape [len(ids)]; unknown positions hold -1.

        A few ids cost O(log len) each, many O(len) together.
        """
        wanted = _as_strings(ids)
        if len(wanted) * _HASHED_PER_SEARCH < len(self._ids):
            positions = np.array([self._search(identifier) for identifier in wanted.to_pylist()], dtype=np.int64)
        else:
            found = pc.fill_null(pc.index_in(wanted, value_set=self._ids, skip_nulls=True), -1)
            positions = np.asarray(found, dtype=np.int64)
        return positions, positions >= 0

    def _search(self, identifier: str | None) -> int:
        """The position of one id, -1 where there is none. Arrow sorts by bytes of UTF-8, which is the order of Python's strings."""
        if identifier is None:
            return -1
        place = bisect_left(self._ids, identifier, key=pa.StringScalar.as_py)
        return place if place < len(self._ids) and self._ids[place].as_py() == identifier else -1

    def positions(self, ids: Sequence[str] | pa.Array | pa.ChunkedArray) -> IntArray:
        """Positions of ids that must all be known; raises `UnknownIdError` naming those that are not."""
        wanted = _as_strings(ids)
        found, known = self.find(wanted)
        if not known.all():
            unknown = wanted.filter(pa.array(~known)).to_pylist()
            raise UnknownIdError(self.kind, [str(identifier) for identifier in unknown])
        return found

    def take(self, positions: IntArray) -> pa.Array:
        """Ids at `positions`, the inverse of `positions()`."""
        return self._ids.take(pa.array(positions))


def _as_strings(ids: Iterable[str] | pa.Array | pa.ChunkedArray) -> pa.Array:
    if isinstance(ids, pa.ChunkedArray):
        return ids.combine_chunks().cast(pa.string())
    return ids.cast(pa.string()) if isinstance(ids, pa.Array) else pa.array(list(ids), pa.string())


@dataclass(frozen=True)
class UserIdBorder:
    """The one crossing between a tenant's raw user ids and the ids used inside.

    Identity today; keyed pseudonyms and erasure go here and nowhere else.
    """

    dataset: str

    def inward(self, user_id: str) -> str:
        """The inside id of a raw user id."""
        return user_id

    def outward(self, user_id: str) -> str:
        """The raw user id of an inside id."""
        return user_id
