"""The knowledge graph as one HTML page that needs nothing else: find a name, see its neighbourhood, coloured by kind.

Names are data: they go in as JSON that no tag can end, and are written as text. The page's own rules
let the browser run this one script and load nothing.
"""

import base64
import hashlib
import json
import re
from html import escape
from importlib import resources
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ml.knowledge.friends import without_friends
from ml.knowledge.matching import graph_nodes

# About 40 bytes a triple; a browser holds this many without effort.
MAX_TRIPLES = 150_000
# What could end the script element or a line of it.
UNSAFE = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


def knowledge_page(knowledge_graph: pa.Table, *, items: pa.Table, title: str, max_triples: int = MAX_TRIPLES) -> str:
    """The page; above `max_triples` those of the nodes with most neighbours are shown and the page says how many are not."""
    template = (resources.files("ml.knowledge") / "page.html").read_text(encoding="utf-8")
    data = json.dumps(_graph(knowledge_graph, items=items, max_triples=max_triples), ensure_ascii=False, separators=(",", ":"))
    for sign, written in UNSAFE.items():
        data = data.replace(sign, written)
    filled = {"HASH": _script_hash(template), "TITLE": escape(title), "DATA": data}
    # In one pass, so that a name that looks like a place to fill is none.
    return re.sub("@@(HASH|TITLE|DATA)@@", lambda found: filled[found.group(1)], template)


def _graph(knowledge_graph: pa.Table, *, items: pa.Table, max_triples: int) -> dict[str, Any]:
    knowledge_graph = without_friends(knowledge_graph)
    nodes = graph_nodes(knowledge_graph, items=items)
    head, tail = (_places(knowledge_graph, end, nodes=nodes) for end in ("head", "tail"))
    degree = np.asarray(nodes.column("degree"))
    kept = np.sort(np.argsort(-(np.minimum(degree[head], degree[tail])), kind="stable")[:max_triples])
    drawn, ends = np.unique(np.concatenate([head[kept], tail[kept]]), return_inverse=True)
    shown = nodes.take(pa.array(drawn))
    kinds = pc.dictionary_encode(shown.column("kind").combine_chunks())
    relations = pc.dictionary_encode(knowledge_graph.column("relation").combine_chunks())
    return {
        "names": shown.column("name").to_pylist(),
        "kinds": kinds.dictionary.to_pylist(),
        "kind_of_node": kinds.indices.to_pylist(),
        "relations": relations.dictionary.to_pylist(),
        "heads": ends[: len(kept)].tolist(),
        "tails": ends[len(kept) :].tolist(),
        "relation_of_edge": np.asarray(relations.indices)[kept].tolist(),
        "left_out": knowledge_graph.num_rows - len(kept),
    }


def _places(knowledge_graph: pa.Table, end: str, *, nodes: pa.Table) -> Any:
    """The row in `nodes` of each triple's head or tail, shape [E]."""
    known = pc.binary_join_element_wise(nodes.column("node_type"), nodes.column("node_id"), ":").combine_chunks()
    wanted = pc.binary_join_element_wise(knowledge_graph.column(f"{end}_type"), knowledge_graph.column(end), ":")
    return np.asarray(pc.index_in(wanted, value_set=known), dtype=np.int64)


def _script_hash(template: str) -> str:
    script = template.split("<script>", 1)[1].split("</script>", 1)[0]
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
