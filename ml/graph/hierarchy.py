"""Interests within interests: category levels and themes, child to parent.

Which interest is a part of which is `interest_points`' word; here it becomes edges, and the pairs of all levels.
Shapes: T interests, E edges, P pairs.
"""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components

from ml.graph.interest_graph import Edges
from ml.ids import BoolArray, IntArray, Vocabulary

# A part is a part or it is not; how much that counts is the model's business.
_WEIGHT = 1.0


def within_edges(interest_points: pa.Table, *, interests: Vocabulary) -> Edges:
    """Each of `interests` to the one it is within, where both are there, sorted by child.

    Two levels that lie within each other ("Home > Kitchen" here, "Kitchen > Home" there) are on no level: no edge.
    """
    child, knows_child = interests.find(interest_points.column("interest_id"))
    parent, knows_parent = interests.find(pc.fill_null(interest_points.column("parent_id"), ""))
    known = knows_child & knows_parent & (child != parent)
    child, parent = child[known], parent[known]
    is_upward = ~_in_circles(child, parent, num_interests=len(interests))
    order = np.lexsort((parent[is_upward], child[is_upward]))
    child, parent = child[is_upward][order], parent[is_upward][order]
    return Edges(child, parent, np.full(len(child), _WEIGHT, dtype=np.float32))


def ancestor_pairs(within: Edges, *, num_interests: int) -> Iterator[sp.csr_array]:
    """Level by level, 1 from each interest to those that lie so many levels above it, shape [T, T]; `within` must have no circle."""
    ones = np.ones(len(within), dtype=np.float32)
    step_TT = sp.csr_array((ones, (within.source_index, within.target_index)), shape=(num_interests, num_interests))
    level_TT = step_TT
    while level_TT.nnz:
        yield level_TT
        level_TT = sp.csr_array(level_TT @ step_TT)


def _in_circles(child: IntArray, parent: IntArray, *, num_interests: int) -> BoolArray:
    steps = sp.csr_array((np.ones(len(child), dtype=np.int32), (child, parent)), shape=(num_interests, num_interests))
    _, circle = connected_components(steps, directed=True, connection="strong")
    found: BoolArray = circle[child] == circle[parent]
    return found
