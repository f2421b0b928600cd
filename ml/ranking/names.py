"""What nodes are called by people: titles, interest names, entity names."""

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc


@dataclass(frozen=True)
class Names:
    """Ids and names per node type ("item", "interest", "entity"), in the same order."""

    ids: Mapping[str, pa.Array]
    names: Mapping[str, pa.Array]

    @classmethod
    def from_tables(cls, *, items: pa.Table, interest_points: pa.Table, knowledge_graph: pa.Table) -> "Names":
        """Names from the tables of a day."""
        entities = knowledge_graph.filter(pc.equal(knowledge_graph.column("tail_type"), "entity"))
        named = entities.group_by("tail").aggregate([("tail_name", "min")])
        sources = {
            "item": (items.column("item_id"), items.column("title")),
            "interest": (interest_points.column("interest_id"), interest_points.column("name")),
            "entity": (named.column("tail"), named.column("tail_name_min")),
        }
        return cls(
            ids={kind: ids.combine_chunks() for kind, (ids, _) in sources.items()},
            names={kind: names.combine_chunks() for kind, (_, names) in sources.items()},
        )

    def of(self, kind: str, ids: pa.Array) -> pa.Array:
        """The name of each id; the id itself where it has no name or an empty one."""
        found = self.names[kind].take(pc.index_in(ids, value_set=self.ids[kind]))
        has_name = pc.fill_null(pc.not_equal(found, ""), False)
        return pc.if_else(has_name, found, ids)
