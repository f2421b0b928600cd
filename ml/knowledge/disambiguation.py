"""Which node a name means that several nodes bear: by a cue beside it, by company, by how many items bear it.

Company is what the item with the text shares with the items of a node: attribute values and tags.
Shapes: I items, E entities and tags, C candidates (one match and one node that bears its name).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import scipy.sparse as sp

from ml.ids import FloatArray, IntArray, Vocabulary


@dataclass(frozen=True)
class Company:
    """What each item is joined to: `incidence_IE` of unit rows."""

    items: Vocabulary
    entities: Vocabulary
    incidence_IE: sp.csr_array

    def shared(self, item_ids: pa.Array, *, node_ids: pa.Array, node_types: pa.Array) -> FloatArray:
        """How much each item shares with the items of each node, cosine in [0, 1], shape [C]; 0 where one is unknown."""
        head, knows_head = self.items.find(item_ids)
        as_item, is_item = self.items.find(node_ids)
        as_entity, is_entity = self.entities.find(node_ids)
        is_item &= np.asarray(pc.equal(node_types, "item"), dtype=np.bool_)
        is_entity &= np.asarray(pc.equal(node_types, "entity"), dtype=np.bool_)
        shared_C = np.zeros(len(head), dtype=np.float32)
        of_item, of_entity = (np.flatnonzero(known & knows_head) for known in (is_item, is_entity))
        shared_C[of_item] = _row_products(self.incidence_IE[head[of_item]], self.incidence_IE[as_item[of_item]])
        profiles, place = self._profiles(as_entity[of_entity])
        shared_C[of_entity] = _row_products(self.incidence_IE[head[of_entity]], profiles[place])
        return shared_C

    def _profiles(self, entity: IntArray) -> tuple[sp.csr_array, IntArray]:
        """What the items of each distinct entity are joined to, unit rows, and each entity's row."""
        distinct, place = np.unique(entity, return_inverse=True)
        return _unit_rows(sp.csr_array(self.incidence_IE.T)[distinct] @ self.incidence_IE), place.astype(np.int64)


def read_company(items: pa.Table, *, triples: pa.Table) -> Company:
    """From triples of items to entities, and from tags."""
    joined = triples.filter(pc.and_(pc.equal(triples.column("head_type"), "item"), pc.equal(triples.column("tail_type"), "entity")))
    tags = items.column("tags").combine_chunks()
    tagged = items.column("item_id").combine_chunks().take(pc.list_parent_indices(tags))
    tag_names = pc.binary_join_element_wise("tag", tags.flatten(), " ")
    head = pa.chunked_array([*joined.column("head").chunks, tagged], pa.string())
    tail = pa.chunked_array([*joined.column("tail").chunks, tag_names], pa.string())
    known, entities = Vocabulary("item", items.column("item_id")), Vocabulary("entity", tail)
    row, is_known = known.find(head)
    column = entities.positions(tail)
    ones = np.ones(int(is_known.sum()), dtype=np.float32)
    incidence = sp.csr_array((ones, (row[is_known], column[is_known])), shape=(len(known), len(entities)))
    incidence.data[:] = 1.0
    return Company(known, entities, _unit_rows(incidence))


def choose(match_C: IntArray, *, cue_C: npt.NDArray[np.bool_], company_C: FloatArray, num_items_C: IntArray, tie_C: IntArray) -> IntArray:
    """The rows of the best candidate of each match, in order of match; equals go by the smaller `tie_C`."""
    order = np.lexsort((tie_C, -num_items_C, -np.round(company_C, 4), ~cue_C, match_C))
    first = np.flatnonzero(np.diff(match_C[order], prepend=-1) != 0)
    best: IntArray = order[first]
    return best


def _unit_rows(matrix: sp.csr_array) -> sp.csr_array:
    lengths = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).reshape(-1))
    scale = np.divide(1.0, lengths, out=np.zeros_like(lengths), where=lengths > 0)
    return sp.csr_array(sp.diags_array(scale) @ matrix)


def _row_products(left: sp.csr_array, right: sp.csr_array) -> FloatArray:
    products: FloatArray = np.asarray(left.multiply(right).sum(axis=1), dtype=np.float32).reshape(-1)
    return products
