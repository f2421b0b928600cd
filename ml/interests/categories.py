"""Category paths as lists of level names, each fit to be an interest point's name."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ml.ids import IntArray
from ml.names import normalise_names

SEPARATOR = " > "
SPACED_SEPARATOR = r"\s*>\s*"


def category_levels(category: pa.ChunkedArray) -> pa.ListArray:
    """Names of the levels of each category "a > b > c", root first, shape [I]; none where it is null.

    A level is called by its own name, unless two branches use that name ("Men > Shoes",
    "Women > Shoes"): then its whole path is its name.
    """
    levels = pc.split_pattern_regex(pc.utf8_trim_whitespace(pc.fill_null(category.combine_chunks(), "")), pattern=SPACED_SEPARATOR)
    names, item = pc.list_flatten(levels), np.asarray(pc.list_parent_indices(levels), dtype=np.int64)
    starts = np.searchsorted(item, np.arange(len(levels) + 1))
    paths = _paths(names, depth=np.arange(len(names)) - starts[item])
    shown = pc.if_else(_is_ambiguous(names, paths=paths), paths, names)
    return pa.ListArray.from_arrays(pa.array(starts, pa.int32()), shown)


def _paths(names: pa.Array, *, depth: IntArray) -> pa.Array:
    """Each level's path from the root; levels of a category follow each other in `names`."""
    paths = names
    for level in range(1, int(depth.max(initial=0)) + 1):
        here = np.flatnonzero(depth == level)
        joined = pc.binary_join_element_wise(paths.take(pa.array(here - 1)), names.take(pa.array(here)), SEPARATOR)
        paths = pc.replace_with_mask(paths, pa.array(depth == level), joined)
    return paths


def _is_ambiguous(names: pa.Array, *, paths: pa.Array) -> pa.Array:
    keys = normalise_names(names)
    branches = pa.table({"key": keys, "path": normalise_names(paths)}).group_by(["key", "path"]).aggregate([])
    counted = branches.group_by("key").aggregate([([], "count_all")])
    several = counted.filter(pc.greater(counted.column("count_all"), 1)).column("key").combine_chunks()
    return pc.is_in(keys, value_set=several)
