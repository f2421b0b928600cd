"""How well one text of a pair finds the other: ranks among all documents of its kind, by cosine.

Shapes: N pairs, M distinct documents, D dimension.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ml.ids import FloatArray, IntArray
from ml.text.encoder import Kind

Encode = Callable[[Sequence[str], Kind], FloatArray]
_BLOCK = 512


@dataclass(frozen=True)
class RetrievalTask:
    """Anchors and what each must find among `documents`, which are distinct; `answer_N` are positions in them."""

    anchors: tuple[str, ...]
    documents: tuple[str, ...]
    answer_N: IntArray

    @property
    def answers(self) -> list[str]:
        """What each anchor must find."""
        return [self.documents[place] for place in self.answer_N]

    def ranks(self, encode: Encode) -> IntArray:
        """Rank of each pair's document, from 1, shape [N].

        Documents of other pairs with the same anchor are right answers too and do not count; one as near as the
        answer counts as before it, so that vectors that are all the same find nothing.
        """
        return answer_ranks(
            encode(self.anchors, "query"), encode(self.documents, "document"), answer_N=self.answer_N, group_N=_codes(self.anchors)
        )


def retrieval_task(
    pairs: pa.Table, *, pool: pa.ChunkedArray, max_pairs: int, max_documents: int, rng: np.random.Generator
) -> RetrievalTask:
    """At most `max_pairs` of `pairs`, their documents hidden among the texts of `pool`, at most `max_documents` in all; drawn by `rng`."""
    if pairs.num_rows > max_pairs:
        pairs = pairs.take(np.sort(rng.choice(pairs.num_rows, size=max_pairs, replace=False)))
    right = pc.unique(pairs.column("document"))
    other = pc.unique(pool)
    other = other.filter(pc.invert(pc.is_in(other, value_set=right)))
    room = max(max_documents - len(right), 0)
    if len(other) > room:
        other = other.take(pa.array(np.sort(rng.choice(len(other), size=room, replace=False))))
    documents = pa.concat_arrays([right, other])
    answer_N = np.asarray(pc.index_in(pairs.column("document"), value_set=documents), dtype=np.int64)
    return RetrievalTask(tuple(pairs.column("anchor").to_pylist()), tuple(documents.to_pylist()), answer_N)


def answer_ranks(anchors_ND: FloatArray, documents_MD: FloatArray, *, answer_N: IntArray, group_N: IntArray) -> IntArray:
    """Rank of document `answer_N` for each anchor, from 1; pairs of one group share their right answers. Shape [N]."""
    order = np.argsort(group_N, kind="stable")
    starts = np.searchsorted(group_N[order], group_N)
    ends = np.searchsorted(group_N[order], group_N, side="right")
    ranks_N = np.empty(len(answer_N), dtype=np.int64)
    for start in range(0, len(answer_N), _BLOCK):
        rows = np.arange(start, min(start + _BLOCK, len(answer_N)))
        scores_BM = anchors_ND[rows] @ documents_MD.T
        own_B = scores_BM[np.arange(len(rows)), answer_N[rows]].copy()
        for place, row in enumerate(rows):
            scores_BM[place, answer_N[order[starts[row] : ends[row]]]] = -np.inf
        ranks_N[rows] = 1 + (scores_BM >= own_B[:, None]).sum(axis=1)
    return ranks_N


def recall(ranks_N: IntArray, *, k: int) -> npt.NDArray[np.float64]:
    """1 where the answer is among the first `k`, shape [N]."""
    return (ranks_N <= k).astype(np.float64)


def mean_reciprocal_rank(ranks_N: IntArray) -> float:
    """Mean of 1 / rank; 0 without pairs."""
    return float((1.0 / ranks_N).mean()) if len(ranks_N) else 0.0


def _codes(texts: Sequence[str]) -> IntArray:
    return np.asarray(pa.array(texts, pa.string()).dictionary_encode().indices, dtype=np.int64)
