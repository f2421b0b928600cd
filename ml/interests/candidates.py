"""Candidate interest points of one catalogue: what they are called and which items carry them how strongly.

Points given by tags and category levels are made here, and mentions of them in
texts are added to them. Phrases that nobody gave are `ml.interests.keyphrases`.
Shapes: I items in table order, P points.
"""

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import scipy.sparse as sp

from ml.config.pipeline import InterestConfig
from ml.ids import BoolArray, IntArray
from ml.interests.categories import category_levels
from ml.interests.phrases import Phrases
from ml.names import normalise_names
from ml.words.english import fold_plurals

# A name given as several kinds is one point, of the kind listed first.
KINDS = ("tag", "category", "keyphrase", "theme")


@dataclass(frozen=True)
class Candidates:
    """P points. `keys` are normalised names, unique within a kind; `strength_IP` is above 0 where an item carries a point.

    `parent_ids` is the point each is a part of, null for most; `aliases` are other names that mean the same.
    """

    kinds: pa.Array
    keys: pa.Array
    names: pa.Array
    strength_IP: sp.csr_array
    parent_ids: pa.Array
    aliases: pa.Array

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def ids(self) -> pa.Array:
        """Interest ids: kind and key."""
        return interest_ids(self.kinds, self.keys)

    def take(self, index_P: IntArray) -> "Candidates":
        """The points at some positions, in that order."""
        index = pa.array(index_P)
        columns = (column.take(index) for column in (self.kinds, self.keys, self.names, self.parent_ids, self.aliases))
        kinds, keys, names, parent_ids, aliases = columns
        return Candidates(kinds, keys, names, sp.csr_array(self.strength_IP[:, index_P]), parent_ids, aliases)

    def keep(self, mask_P: BoolArray) -> "Candidates":
        """Only the points of the mask."""
        return self.take(np.flatnonzero(mask_P))

    def join(self, other: "Candidates") -> "Candidates":
        """The points of both; no id may be in both."""
        return Candidates(
            pa.concat_arrays([self.kinds, other.kinds]),
            pa.concat_arrays([self.keys, other.keys]),
            pa.concat_arrays([self.names, other.names]),
            sp.csr_array(sp.hstack([self.strength_IP, other.strength_IP], format="csr")),
            pa.concat_arrays([self.parent_ids, other.parent_ids]),
            pa.concat_arrays([self.aliases, other.aliases]),
        )


def candidates(
    kinds: pa.Array, keys: pa.Array, names: pa.Array, strength_IP: sp.csr_array, *, parent_ids: pa.Array | None = None
) -> Candidates:
    """Points without aliases, and without parents unless given."""
    aliases = pa.array([[]] * len(keys), pa.list_(pa.string()))
    return Candidates(kinds, keys, names, strength_IP, pa.nulls(len(keys), pa.string()) if parent_ids is None else parent_ids, aliases)


def interest_ids(kinds: pa.Array, keys: pa.Array) -> pa.Array:
    """Ids of points from kind and key; null where either is."""
    return pc.binary_join_element_wise(kinds, keys, ":")


def given_candidates(items: pa.Table, *, config: InterestConfig) -> Candidates:
    """Points from the `tags` and `category` columns; a kind of weight 0 is left out.

    The same normalised name as tag and category level is one tag point, an item's
    strength on it the larger of the two.
    """
    parts, levels = [], category_levels(items.column("category"))
    if config.tag_weight > 0:
        parts.append(_given(items.column("tags"), kind="tag", strength=config.tag_weight))
    if config.category_weight > 0:
        parts.append(_given(levels, kind="category", strength=config.category_weight))
    carried = pa.concat_tables([_EMPTY.empty_table(), *parts])
    points = _name_points(carried)
    pairs = carried.group_by(["item", "key"]).aggregate([("strength", "max")])
    column = np.asarray(pc.index_in(pairs.column("key"), value_set=points.column("key")), dtype=np.int64)
    strength = np.asarray(pairs.column("strength_max"), dtype=np.float64)
    matrix = sp.csr_array((strength, (_positions(pairs.column("item")), column)), shape=(items.num_rows, points.num_rows))
    kinds = pa.array(KINDS).take(points.column("kind_min").combine_chunks())
    keys = points.column("key").combine_chunks()
    parent_ids = _parent_ids(keys, kinds=kinds, levels=levels) if config.category_weight > 0 else None
    return candidates(kinds, keys, points.column("name_first").combine_chunks(), matrix, parent_ids=parent_ids)


def add_mentions(given: Candidates, *, phrases: Phrases, config: InterestConfig) -> tuple[Candidates, BoolArray]:
    """Items whose text names a given point carry it too, as strongly as a keyphrase.

    Plural and singular are one name here. A name counts where `min_items` texts use it,
    unless its point would be too common with them. Returns the points and the mask of phrases that name one, shape [number of phrases].
    """
    found = pc.index_in(_fold_names(given.keys), value_set=phrases.keys)
    point_M = np.flatnonzero(np.asarray(pc.is_valid(found), dtype=np.bool_))
    phrase_M = np.asarray(found.drop_null(), dtype=np.int64)
    mentions = phrases.counts_NP[:, phrase_M].astype(bool).astype(np.float64) * config.keyphrase_weight
    placed = mentions @ sp.csr_array((np.ones(len(point_M)), (np.arange(len(point_M)), point_M)), shape=(len(point_M), len(given)))
    mentioned = sp.csr_array(given.strength_IP.maximum(placed))
    common = num_carriers(mentioned) > config.max_item_share * mentioned.shape[0]
    strength = mentioned @ sp.diags_array((~common).astype(float)) + given.strength_IP @ sp.diags_array(common.astype(float))
    strength = sp.csr_array(strength)
    strength.eliminate_zeros()
    named = np.zeros(len(phrases.keys), dtype=np.bool_)
    named[phrase_M] = True
    return replace(given, strength_IP=strength), named


def within_bounds(candidates: Candidates, *, config: InterestConfig) -> Candidates:
    """Points that enough items carry, but not too many."""
    carriers = num_carriers(candidates.strength_IP)
    return candidates.keep((carriers >= config.min_items) & (carriers <= config.max_item_share * candidates.strength_IP.shape[0]))


def num_carriers(strength_IP: sp.csr_array) -> IntArray:
    """Items that carry each point, shape [P]."""
    return np.bincount(strength_IP.indices, minlength=strength_IP.shape[1]).astype(np.int64)


_EMPTY = pa.schema([("item", pa.int64()), ("kind", pa.int64()), ("key", pa.string()), ("name", pa.string()), ("strength", pa.float64())])


def _given(lists: pa.ChunkedArray | pa.Array, *, kind: str, strength: float) -> pa.Table:
    names = pc.utf8_trim_whitespace(pc.list_flatten(lists))
    item = pc.list_parent_indices(lists)
    columns = {"item": item, "kind": _repeat(KINDS.index(kind), len(names)), "key": normalise_names(names), "name": names}
    table = pa.table({**columns, "strength": _repeat(strength, len(names))}).cast(_EMPTY)
    return table.filter(pc.not_equal(pc.fill_null(table.column("key"), ""), ""))


def _parent_ids(keys: pa.Array, *, kinds: pa.Array, levels: pa.ListArray) -> pa.Array:
    """The point of the category level above each point that is a level; null for the others."""
    item = np.asarray(pc.list_parent_indices(levels), dtype=np.int64)
    level_keys = normalise_names(pc.list_flatten(levels))
    below = np.flatnonzero(np.diff(item) == 0) + 1
    pairs = pa.table({"key": level_keys.take(pa.array(below)), "above": level_keys.take(pa.array(below - 1))})
    pairs = pairs.group_by("key").aggregate([("above", "min")])
    above = pairs.column("above_min").combine_chunks().take(pc.index_in(keys, value_set=pairs.column("key").combine_chunks()))
    is_other = pc.fill_null(pc.not_equal(above, keys), False)
    return pc.if_else(is_other, interest_ids(kinds.take(pc.index_in(above, value_set=keys)), above), pa.scalar(None, pa.string()))


def _repeat(value: float, count: int) -> pa.Array:
    return pa.repeat(pa.scalar(value), count)


def _name_points(carried: pa.Table) -> pa.Table:
    """Key, first kind and most frequent name (ties: first in order) of each point, sorted by key."""
    spelled = carried.group_by(["key", "name"]).aggregate([([], "count_all"), ("kind", "min")])
    ordered = spelled.sort_by([("key", "ascending"), ("count_all", "descending"), ("name", "ascending")])
    points = ordered.group_by("key", use_threads=False).aggregate([("name", "first"), ("kind_min", "min")])
    return points.rename_columns({"kind_min_min": "kind_min"})


def _fold_names(keys: pa.Array) -> pa.Array:
    words = pc.split_pattern(keys, " ")
    folded = fold_plurals(pc.list_flatten(words))
    return pc.binary_join(pa.ListArray.from_arrays(words.offsets, folded), " ")


def _positions(column: pa.ChunkedArray) -> IntArray:
    return np.asarray(column, dtype=np.int64)
