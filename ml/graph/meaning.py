"""Items alike in meaning: mutual nearest neighbours by cosine, where that is more than items have in common anyway.

Cosines of a catalogue of one kind are all high, so what is noise is read from the catalogue itself: a
quantile of the cosines of random pairs. Shapes: I items, D dimension, K neighbours, P pairs.
"""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import scipy.sparse as sp

from ml.config.pipeline import GraphConfig
from ml.contracts.vectors import vectors_to_matrix
from ml.graph.interest_graph import Edges
from ml.ids import FloatArray, IntArray, Vocabulary
from ml.top_n import Progress, top_n
from ml.unit_rows import unit_rows

# Cosines held at once; a search of a catalogue takes a few times as much, whatever its size.
_BLOCK_CELLS = 2**24
_PAIR_BLOCK = 8192
# Rounding of float32 cosines: what is above the floor by less is on it.
_ROUNDING = 1e-5


def item_vectors(item_embeddings: pa.Table, *, items: Vocabulary) -> FloatArray:
    """Vectors of `items` in vocabulary order, zeros for one without, shape [I, D]."""
    vectors_ND = vectors_to_matrix(item_embeddings.column("vector"))
    position_N, known_N = items.find(item_embeddings.column("item_id"))
    vectors_ID = np.zeros((len(items), vectors_ND.shape[1]), dtype=np.float32)
    vectors_ID[position_N[known_N]] = vectors_ND[known_N]
    return vectors_ID


def similar_edges(vectors_ID: FloatArray, *, config: GraphConfig, rng: np.random.Generator, progress: Progress | None = None) -> Edges:
    """Pairs of items each among the other's `num_similar` nearest and above the noise floor, from lower position to higher.

    Weights say how far above: 0 at the floor (not an edge), 1 for equal vectors. A vector of zeros has no direction
    and no edges. In a catalogue too small for its quantile (2 items are 1 pair) nothing is above the floor.
    """
    placed = np.flatnonzero(np.any(vectors_ID != 0, axis=1))
    unit_ID = unit_rows(vectors_ID[placed])
    floor = noise_floor(unit_ID, quantile=config.similar_noise_quantile, max_pairs=config.max_noise_pairs, rng=rng)
    near_II = _neighbours(unit_ID, k=config.num_similar, floor=floor, progress=progress)
    mutual = sp.coo_array(sp.triu(near_II.minimum(sp.csr_array(near_II.T)), k=1))
    order = np.lexsort((mutual.col, mutual.row))
    weight = np.clip((mutual.data[order] - floor) / (1.0 - floor), np.finfo(np.float32).tiny, 1.0) if mutual.nnz else mutual.data
    return Edges(placed[mutual.row[order]], placed[mutual.col[order]], weight.astype(np.float32))


def noise_floor(unit_ID: FloatArray, *, quantile: float, max_pairs: int, rng: np.random.Generator) -> float:
    """The quantile of cosines over all pairs of different items, or over `max_pairs` random ones where there are more; 1 without a pair."""
    num_items = len(unit_ID)
    if num_items < 2:
        return 1.0
    left_P, right_P = _pairs(num_items, max_pairs=max_pairs, rng=rng)
    starts = range(0, len(left_P), _PAIR_BLOCK)
    cosine_P = np.concatenate(
        [_cosines(unit_ID, left_P[start : start + _PAIR_BLOCK], right_P[start : start + _PAIR_BLOCK]) for start in starts]
    )
    return float(np.quantile(cosine_P, quantile))


def _pairs(num_items: int, *, max_pairs: int, rng: np.random.Generator) -> tuple[IntArray, IntArray]:
    if num_items * (num_items - 1) // 2 <= max_pairs:
        left_P, right_P = np.triu_indices(num_items, k=1)
        return left_P.astype(np.int64), right_P.astype(np.int64)
    left_P = rng.integers(num_items, size=max_pairs)
    return left_P, (left_P + rng.integers(1, num_items, size=max_pairs)) % num_items


def _cosines(unit_ID: FloatArray, left_P: IntArray, right_P: IntArray) -> npt.NDArray[np.float64]:
    cosine_P: npt.NDArray[np.float64] = np.einsum("pd,pd->p", unit_ID[left_P], unit_ID[right_P]).astype(np.float64)
    return cosine_P


def _neighbours(unit_ID: FloatArray, *, k: int, floor: float, progress: Progress | None) -> sp.csr_array:
    """Each item's nearest others above the floor, their cosines as weights, shape [I, I]."""
    num_items = len(unit_ID)
    neighbours_IK, cosine_IK = top_n(
        lambda rows: unit_ID[rows] @ unit_ID.T,
        user_index=np.arange(num_items),
        excluded_UI=sp.csr_array(sp.eye_array(num_items)),
        k=k,
        block_size=max(1, _BLOCK_CELLS // max(num_items, 1)),
        progress=progress,
    )
    row, place = np.nonzero((neighbours_IK >= 0) & (cosine_IK > floor + _ROUNDING))
    cosines = cosine_IK[row, place].astype(np.float64)
    return sp.csr_array((cosines, (row, neighbours_IK[row, place])), shape=(num_items, num_items))
