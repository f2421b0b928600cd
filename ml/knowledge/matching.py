"""Nodes of the knowledge graph for a free text: by meaning (cosine) and by words (Jaccard).

Words are exact and need no vectors, meaning finds what is called otherwise; both are shown, the sum decides.
Vectors come in as tables; encoding is `ml.text`. Shapes: K nodes, I items, D dimensions.
"""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import scipy.sparse as sp

from ml.contracts.spaces import require_same_space, space_of
from ml.contracts.vectors import vectors_to_matrix
from ml.ids import FloatArray, Vocabulary
from ml.knowledge.friends import without_friends
from ml.unit_rows import unit_rows
from ml.words.english import fold_plurals
from ml.words.tokens import tokenise


def graph_nodes(knowledge_graph: pa.Table, *, items: pa.Table) -> pa.Table:
    """The graph's nodes, a row each: node_id, node_type, kind, name, degree; sorted by type, then id."""
    things = without_friends(knowledge_graph)
    ends = pa.concat_tables([_heads(things), _tails(things)])
    counted = ends.group_by(["node_id", "node_type"]).aggregate([("kind", "min"), ("name", "min"), ([], "count_all")])
    title = _titles(items, counted.column("node_id"))
    is_item = pc.equal(counted.column("node_type"), "item")
    columns = {
        "node_id": counted.column("node_id"),
        "node_type": counted.column("node_type"),
        "kind": pc.coalesce(counted.column("kind_min"), counted.column("node_type")),
        "name": pc.coalesce(
            pc.if_else(is_item, title, pa.scalar(None, pa.string())), counted.column("name_min"), counted.column("node_id")
        ),
        "degree": counted.column("count_all"),
    }
    return pa.table(columns).sort_by([("node_type", "ascending"), ("node_id", "ascending")])


def match_nodes(
    text: str, *, nodes: pa.Table, knowledge_graph: pa.Table, item_embeddings: pa.Table, query_vector: FloatArray, space_id: str, k: int
) -> list[dict[str, Any]]:
    """The `k` nodes with the largest sum of cosine and Jaccard: rank, node_id, kind, name, cosine, jaccard; ties by type and id.

    An entity's vector is the mean of its items' vectors, an item's its own. Raises `EmbeddingSpaceError` unless
    the query is of the items' space.
    """
    found = space_of(item_embeddings, name="item_embeddings")
    if found is not None:
        require_same_space(space_id, found)
    cosine_K = _cosines(query_vector, nodes=nodes, knowledge_graph=knowledge_graph, item_embeddings=item_embeddings)
    jaccard_K = jaccard(text, names=nodes.column("name"))
    order = np.argsort(-(cosine_K + jaccard_K), kind="stable")[:k]
    shown = nodes.select(["node_id", "kind", "name", "degree"]).take(pa.array(order)).to_pylist()
    return [
        {"rank": place + 1, **row, "cosine": float(cosine_K[order[place]]), "jaccard": float(jaccard_K[order[place]])}
        for place, row in enumerate(shown)
    ]


def jaccard(text: str, *, names: pa.ChunkedArray | pa.Array) -> FloatArray:
    """Shared words over all words of the text and each name, plurals folded, in [0, 1], shape [K]."""
    given = names.combine_chunks() if isinstance(names, pa.ChunkedArray) else names
    tokens = tokenise(pa.concat_arrays([pa.array([text], pa.string()), given.cast(pa.string())]), language="auto")
    folded = pc.dictionary_encode(fold_plurals(tokens.words))
    word_T = np.asarray(folded.indices, dtype=np.int64)[tokens.word_T]
    shape = (len(given) + 1, max(len(folded.dictionary), 1))
    held = sp.csr_array((np.ones(len(word_T), dtype=np.float32), (tokens.text_T, word_T)), shape=shape)
    held.data[:] = 1.0
    num_words = held.sum(axis=1)
    shared_K = (held[1:] @ held[[0]].T).toarray().reshape(-1)
    either_K = num_words[1:] + num_words[0] - shared_K
    share_K: FloatArray = np.asarray(shared_K / np.maximum(either_K, 1), dtype=np.float32)
    return share_K


def _cosines(query_vector: FloatArray, *, nodes: pa.Table, knowledge_graph: pa.Table, item_embeddings: pa.Table) -> FloatArray:
    """Cosine of the query to each node, 0 where a node has no item with a vector, shape [K]."""
    embedded = item_embeddings.sort_by("item_id")
    items = Vocabulary("item", embedded.column("item_id"))
    vectors_ID = vectors_to_matrix(embedded.column("vector"))
    if not len(items):
        return np.zeros(nodes.num_rows, dtype=np.float32)
    mean_KD = unit_rows(_membership(nodes, knowledge_graph=knowledge_graph, items=items) @ vectors_ID)
    cosine_K: FloatArray = mean_KD @ unit_rows(query_vector[None, :].astype(np.float32))[0]
    return cosine_K.astype(np.float32)


def _membership(nodes: pa.Table, *, knowledge_graph: pa.Table, items: Vocabulary) -> sp.csr_array:
    """1 where an item is a node or is joined to an entity, shape [K, I]."""
    node_key = pc.binary_join_element_wise(nodes.column("node_type"), nodes.column("node_id"), ":").combine_chunks()
    is_item = pc.equal(knowledge_graph.column("head_type"), "item")
    joined = knowledge_graph.filter(pc.and_(is_item, pc.equal(knowledge_graph.column("tail_type"), "entity")))
    tail = pc.index_in(pc.binary_join_element_wise("entity", joined.column("tail"), ":"), value_set=node_key)
    own = pc.index_in(pc.binary_join_element_wise("item", items.ids, ":"), value_set=node_key)
    head, is_known = items.find(joined.column("head"))
    row = np.concatenate([np.asarray(pc.fill_null(own, -1)), np.asarray(pc.fill_null(tail, -1))])
    column = np.concatenate([np.arange(len(items)), np.where(is_known, head, -1)])
    kept = (row >= 0) & (column >= 0)
    return sp.csr_array((np.ones(int(kept.sum()), dtype=np.float32), (row[kept], column[kept])), shape=(nodes.num_rows, len(items)))


def _titles(items: pa.Table, ids: pa.ChunkedArray) -> pa.Array:
    place = pc.index_in(ids, value_set=items.column("item_id").combine_chunks())
    return items.column("title").combine_chunks().take(place)


def _heads(knowledge_graph: pa.Table) -> pa.Table:
    head, head_type = knowledge_graph.column("head"), knowledge_graph.column("head_type")
    nothing = pa.nulls(knowledge_graph.num_rows, pa.string())
    return pa.table({"node_id": head, "node_type": head_type, "kind": nothing, "name": nothing})


def _tails(knowledge_graph: pa.Table) -> pa.Table:
    named = {"node_id": "tail", "node_type": "tail_type", "kind": "tail_kind", "name": "tail_name"}
    return pa.table({column: knowledge_graph.column(source) for column, source in named.items()})
