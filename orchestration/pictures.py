"""Pictures of the interest graph that the command line writes, from the tables of a day."""

from datetime import date
from pathlib import Path

from ml.contracts.files import whole_file
from ml.graph.ego_picture import ego_picture
from ml.graph.table import graph_from_table
from ml.ids import Vocabulary
from ml.ranking.names import Names
from orchestration.answers import newest_partition, read_table
from orchestration.scope import Scope


def write_ego_picture(scope: Scope, *, kind: str, identifier: str, day: date | None, out: Path) -> Path:
    """Write what a user or an item (`kind`) is joined to as a PNG; raises `UnknownIdError` for one the day does not know."""
    when = day or newest_partition(scope, "interest_graph")
    items, interest_points, knowledge_graph = (
        read_table(scope, name, day=when) for name in ("items", "interest_points", "knowledge_graph")
    )
    graph = graph_from_table(
        read_table(scope, "interest_graph", day=when), vocabularies={"item": Vocabulary("item", items.column("item_id"))}
    )
    named = Names.from_tables(items=items, interest_points=interest_points, knowledge_graph=knowledge_graph)
    inside = scope.border.inward(identifier) if kind == "user" else identifier
    picture = ego_picture(
        graph, node_type=kind, node_id=inside, names=lambda node_type, ids: ids if node_type == "user" else named.of(node_type, ids)
    )
    with whole_file(out) as handle:
        handle.write(picture)
    return out
