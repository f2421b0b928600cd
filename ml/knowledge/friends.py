"""Friends among given triples: the relation `friend` joins two users, whatever items or entities share their ids.

They go through the knowledge table so that every run, training too, knows them; what is known of things
(pages, names, mentions) leaves them out.
"""

import pyarrow as pa
import pyarrow.compute as pc

from ml.names import snake_case_names

# Reserved: heads and tails of this relation are user ids.
RELATION = "friend"
USER = "user"


def is_friendship(given: pa.Table) -> pa.ChunkedArray:
    """Which rows, of given triples or of `knowledge_graph`, say that two users are friends."""
    if "head_type" in given.column_names:
        return pc.equal(given.column("head_type"), USER)
    return pc.equal(snake_case_names(given.column("relation")), RELATION)


def without_friends(given: pa.Table) -> pa.Table:
    """The rows about items and entities."""
    return given.filter(pc.invert(is_friendship(given)))


def friend_triples(raw_knowledge: pa.Table) -> dict[str, pa.Array | pa.ChunkedArray]:
    """The friendships as columns of `knowledge_graph`, the lower id first; loops and empty ends are still there."""
    rows = raw_knowledge.filter(is_friendship(raw_knowledge))
    left, right = (pc.utf8_trim_whitespace(rows.column(name)) for name in ("head", "tail"))
    is_ordered = pc.less_equal(left, right)
    tail = pc.if_else(is_ordered, right, left)
    return {
        "head": pc.if_else(is_ordered, left, right),
        "head_type": pa.repeat(pa.scalar(USER), rows.num_rows),
        "relation": pa.repeat(pa.scalar(RELATION), rows.num_rows),
        "tail": tail,
        "tail_type": pa.repeat(pa.scalar(USER), rows.num_rows),
        "tail_name": tail,
        "tail_kind": pa.repeat(pa.scalar(USER), rows.num_rows),
        "source": pa.repeat(pa.scalar("given"), rows.num_rows),
        "confidence": pa.repeat(pa.scalar(1.0), rows.num_rows),
    }
