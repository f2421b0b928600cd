"""Rows of an edge table, one edge type at a time."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ml.graph.interest_graph import EdgeType


def rows_by_edge_type(table: pa.Table, *, source_type: str, relation: str, target_type: str) -> Iterator[tuple[EdgeType, pa.Table]]:
    """Each edge type named by three columns and its rows, in order of source type, relation, target type."""
    columns = [source_type, relation, target_type]
    label = np.zeros(table.num_rows, dtype=np.int64)
    for name in columns:
        values = table.column(name).combine_chunks()
        known = pc.unique(values)
        known = known.take(pc.array_sort_indices(known))
        label = label * len(known) + np.asarray(pc.index_in(values, value_set=known), dtype=np.int64)
    order = np.argsort(label, kind="stable")
    ends = np.flatnonzero(np.diff(label[order], append=-1)) + 1
    for rows in np.split(order, ends)[:-1]:
        found = table.take(pa.array(rows))
        yield EdgeType(*(found.column(name)[0].as_py() for name in columns)), found
